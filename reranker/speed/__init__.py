"""Times the core model beside the published way of running it: `python -m reranker.speed`."""
