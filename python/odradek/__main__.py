"""`python -m odradek` is the `odradek` command."""

from odradek.cli import main

main()
