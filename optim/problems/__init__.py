"""Real problems with known answers.

`lj_argon`: a Lennard-Jones potential fitted to an ab initio argon potential (2 parameters, 0.3 ms a loss).
"""
