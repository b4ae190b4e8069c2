"""The client: producer, consumer and admin. Read next: `cluster.py` (requests), then the package of what you need."""

import logging

# A program that has not set up logging would else find our warnings on its stderr.
logging.getLogger("odradek.client").addHandler(logging.NullHandler())
