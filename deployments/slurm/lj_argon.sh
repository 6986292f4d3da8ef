#!/bin/bash
# A run as a batch job that queues itself again until the run has finished: `sbatch lj_argon.sh` in this folder.
#
# Whatever ends the job, the next one goes on where the store ends (--if-exists resume). SLURM itself queues the job again
# when its node fails or somebody preempts it (--requeue); this script does, when the walltime is nearly over or somebody
# calls `shoal pause lj_argon` (exit code 75).
#SBATCH --job-name=lj_argon
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=2G
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=lj_argon.out

# Workers report to Prefect themselves, so on other nodes they need a server that they reach; name it here. Without one,
# shoal starts a server on the loopback of this job's node, which is enough for workers on the same node.
# export PREFECT_API_URL=http://login1:4200/api

# SLURM sends SIGTERM to shoal, which saves the run and ends with 130, and to this shell, which waits for that.
trap : TERM

shoal run lj_argon.toml --name lj_argon --if-exists resume --walltime 23h50m
code=$?
if [ "$code" -eq 75 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
