"""Run one workload with one library and print its line.   LIBRARY WORKLOAD JOB; the job as JSON, see `job.Job`."""

from __future__ import annotations

import importlib
import json
import sys

from benches.versus_clients.job import Job

MODULES = {
    "odradek": "odradek_client",
    "confluent-kafka": "confluent",
    "aiokafka": "aio_kafka",
    "kafka-python": "kafka_python",
}


def main(library: str, workload: str, job: str) -> None:
    """Import only the library that is measured, then its loop."""
    module = importlib.import_module(f"benches.versus_clients.drivers.{MODULES[library]}")
    module.WORKLOADS[workload](Job(**json.loads(job)))


if __name__ == "__main__":
    main(*sys.argv[1:])
