"""A Ray cluster of two nodes on this machine."""

from pathlib import Path
from typing import Any

import bench
from tests.bench.evaluation.workplace import is_alive

ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",  # a command with another home would not find this one's token
    "RAY_USAGE_STATS_ENABLED": "0",
    "PYTHONPATH": str(Path(bench.__file__).parents[1]),
}
"""What the cluster, and the commands that use it, need."""


class TwoNodes:
    """A Ray cluster of real raylets on this machine: a head without cores, and two nodes of one core."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        self._nodes: list[Any] = []
        self.address: str = self._cluster.address

    def complete(self) -> "TwoNodes":
        """Start what is missing."""
        self._nodes = [node for node in self._nodes if is_alive(self._raylet(node))]
        while len(self._nodes) < 2:
            self._nodes.append(self._cluster.add_node(num_cpus=1))
        return self

    def kill_raylet(self) -> None:
        raylet = self._nodes.pop().all_processes["raylet"][0].process
        raylet.kill()
        raylet.wait()  # its actors end when no process has its id any more

    def end(self) -> None:
        self._cluster.shutdown()

    @staticmethod
    def _raylet(node: Any) -> int:
        process: int = node.all_processes["raylet"][0].process.pid
        return process
