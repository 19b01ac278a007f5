# Each target is one line that calls a Python tool; the README has the same lines without make.
PYTHON ?= python3
VENV := .venv/bin/python
NOTEBOOKS := $(VENV) tools/notebooks.py

.PHONY: run test test-backends lab data publish claims environment

run: environment       ## execute every notebook (or ONLY="06 11") at quick scale; pages in build/html
	$(NOTEBOOKS) run $(ONLY)

test: environment      ## lint, all tests, both backends, every notebook on its stand-in
	$(VENV) tools/check.py

test-backends: environment  ## the fast tests on the JAX backend
	KERAS_BACKEND=jax $(VENV) -m pytest

lab: environment       ## JupyterLab in this environment
	$(VENV) -m jupyter lab notebooks

data: environment      ## fetch the real data sets; sizes and terms come first
	$(VENV) -m utils.fetch get

publish: environment   ## execute ONLY="11" at full scale, keep the outputs and results
	$(NOTEBOOKS) publish $(ONLY)
	$(VENV) tools/claims.py

claims: environment    ## render CLAIMS.md from results/
	$(VENV) tools/claims.py

environment:
	@$(PYTHON) tools/environment.py
