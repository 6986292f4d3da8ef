"""How people see a run: while it goes on (`live`, `outlook`, `log`) and afterwards (`summary`, `report`).

`statistics` computes what optimizers found together, and `findings` puts it into words.
"""
