"""How people see a run: while it goes on (`live`, `outlook`, `log`) and afterwards (`summary`, `report`).

While it goes on, `from_session` and `from_store` take a `snapshot` of it, `recent` says how fast it goes, and `drawing`
draws it, with a `sparkline`.

`statistics` computes what optimizers found together, and `findings` puts it into words.
"""
