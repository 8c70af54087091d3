# make run          the app, with all it needs installed on the first start
# make test         the tests; ARGS="tests/test_midi.py -x" passes options to pytest
# make lint         the linters
# make format       rewrite the code as the linters want it

PYTHON_IN_VENV := .venv/bin/python

.PHONY: run test lint format app-ready dev-ready

run: app-ready
	@exec $(PYTHON_IN_VENV) -m streamlit run app.py $(ARGS)

test: dev-ready
	@exec $(PYTHON_IN_VENV) -m pytest $(ARGS)

lint: dev-ready
	$(PYTHON_IN_VENV) -m ruff check .
	$(PYTHON_IN_VENV) -m ruff format --check .
	$(PYTHON_IN_VENV) -m mypy

format: dev-ready
	$(PYTHON_IN_VENV) -m ruff check --fix .
	$(PYTHON_IN_VENV) -m ruff format .

app-ready:
	@scripts/bootstrap.sh app

dev-ready:
	@scripts/bootstrap.sh dev
