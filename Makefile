# make run          the app, with all it needs installed on the first start
# make test         the tests; ARGS="tests/test_midi.py -x" passes options to pytest
# make lint         the linters
# make format       rewrite the code as the linters want it

PYTHON_IN_VENV := .venv/bin/python
NOTHING_CHOSEN := 5

.PHONY: run test test-core test-browser lint format app-ready dev-ready

run: app-ready
	@exec $(PYTHON_IN_VENV) -m streamlit run app.py $(ARGS)

# Those in a browser go last and one after the other: some of them measure time.
test: test-core test-browser

test-core: dev-ready
	@$(PYTHON_IN_VENV) -m pytest -m "not browser" -n auto --maxprocesses 4 --dist loadfile $(ARGS) \
		|| [ $$? -eq $(NOTHING_CHOSEN) ]

test-browser: dev-ready
	@$(PYTHON_IN_VENV) -m pytest -m browser $(ARGS) || [ $$? -eq $(NOTHING_CHOSEN) ]

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
