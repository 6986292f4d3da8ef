"""The domain: managing many optimizers on one problem. Pure, deterministic; knows no workflow engine.

Read in this order:

* `space`, `problem`: parameters, and a loss on them; `problems/` has real ones with known answers.
* `ask_tell`: an optimizer as a generator of batches; `optimizers/` has the adapters.
* `stoppers/`, `exit_conditions/`, `generators/`, `selectors/`: policies, one to a file; `registry` finds them,
  `combination` joins their verdicts, `strategy` is the settings that name them; `progress` is how far exits are.
* `manager`: events in, commands out (`messages`); its books are `run_state`, `member` and `places`; policies
  see the `views`.
* `session`, `in_process`: a manager driven, with its `journal` written; `store/` keeps the journal in Zarr.
* `testing`: conformance suites for policies and optimizers, also for those of other packages.
"""
