#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Checks the claims of the programs given: each must hold natively and then under mcexec in the same boot.

Arguments: the programs.
"""

import functools
import sys

from scene import claims_of, make_healthy, program, run, run_all


def checked_both_ways(path, name):
    def both_ways():
        for launcher in ([], ["mcexec"]):
            result = run(*launcher, path, name)
            where = "under mcexec" if launcher else "natively"
            said = (result.stdout + result.stderr).strip()
            assert result.returncode == 0, f"{where}: status {result.returncode}: {said}"

    return both_ways


for argument in sys.argv[1:]:
    claims_of(argument, functools.partial(checked_both_ways, program(argument)))
run_all(make_healthy)
