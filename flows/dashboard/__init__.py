"""What Prefect's dashboard shows of a run besides its task runs and its log.

* `artifacts`: what each artifact says; `upkeep` keeps them current while the run goes on.
* `events`: what automations can hang on.

The dashboard is a view: nothing here may stop a run, and a server that has gone away is asked again later.
"""
