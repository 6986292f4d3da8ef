"""`make torture`: real runs, killed with SIGKILL at random moments and resumed, until so many kills are reached.

After every kill the store is compared with what it held before, and with a file into which the loss itself writes each
call; at the end each run is compared with one that nobody interrupted. Moments, victims and torn files are drawn from
one seed.
"""
