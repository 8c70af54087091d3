# make run          the app, with all it needs installed on the first start;
#                   ADDRESS=0.0.0.0 make run lets other machines in (docs/server.md)
# make test         the tests; ARGS="tests/test_midi.py -x" passes options to pytest
# make test-lowest  the quick tests with the oldest versions that requirements.txt allows
# make soak         20 browser sessions for 10 minutes; ARGS="--sessions 5 --minutes 2"
# make gpu-check    on a machine with a CUDA device: its tests, and one table of its speed
# make lint         the linters
# make format       rewrite the code as the linters want it
# make assets       bundle the browser's side; needs Node

PYTHON_IN_VENV := .venv/bin/python
NOTHING_CHOSEN := 5

.PHONY: assets run test test-core test-browser test-lowest soak gpu-check lint format app-ready dev-ready

run: app-ready
	@exec $(PYTHON_IN_VENV) -m scripts.run_app \
		$(if $(ADDRESS),--server.address '$(ADDRESS)') $(ARGS)

test: test-core test-browser

test-core: dev-ready
	@$(PYTHON_IN_VENV) -m pytest -m "not browser" -n auto --maxprocesses 4 --dist worksteal $(ARGS) \
		|| [ $$? -eq $(NOTHING_CHOSEN) ]

# Two at a time, each with its own servers and Chromium; then those that measure time, alone.
test-browser: dev-ready
	@$(PYTHON_IN_VENV) -m pytest -m "browser and not alone" -n 2 --dist worksteal $(ARGS) \
		|| [ $$? -eq $(NOTHING_CHOSEN) ]
	@$(PYTHON_IN_VENV) -m pytest -m "browser and alone" $(ARGS) || [ $$? -eq $(NOTHING_CHOSEN) ]

test-lowest:
	@scripts/bootstrap.sh lowest
	@.venv-lowest/bin/python -m pytest -m "not browser and not slow and not gpu" \
		-n auto --maxprocesses 4 --dist worksteal $(ARGS)

soak: dev-ready
	@$(PYTHON_IN_VENV) -m scripts.soak $(ARGS)

gpu-check: dev-ready
	@if ! $(PYTHON_IN_VENV) -c "import torch; exit(not torch.cuda.is_available())"; then \
		echo "gpu-check: PyTorch finds no CUDA device here, so nothing was checked."; \
	else \
		$(PYTHON_IN_VENV) -m pytest -m gpu $(ARGS) && \
		$(PYTHON_IN_VENV) -m musicvae_core bench --device cuda --table; \
	fi

lint: dev-ready
	$(PYTHON_IN_VENV) -m ruff check .
	$(PYTHON_IN_VENV) -m ruff format --check .
	$(PYTHON_IN_VENV) -m mypy
	.venv/bin/lint-imports
	@scripts/check_assets.sh

assets:
	npm ci --no-audit --no-fund --silent
	npm run --silent build

format: dev-ready
	$(PYTHON_IN_VENV) -m ruff check --fix .
	$(PYTHON_IN_VENV) -m ruff format .

app-ready:
	@scripts/bootstrap.sh app

dev-ready:
	@scripts/bootstrap.sh dev
