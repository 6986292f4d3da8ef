"""Run files: read in TOML, YAML or ParAMS' block syntax, checked with every fault in its place, and written again.

`reading` is the way in and `writing` the way out; `faults` speaks to people; `names` knows how files spell settings;
`block_lines`, `block_values` and `block_syntax` read blocks, line by line, value by value and by their meaning;
`given` and `block_text` write them.
"""
