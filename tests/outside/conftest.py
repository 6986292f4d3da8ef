"""The example package's own tests run where the package can be imported, in a process of their own."""

collect_ignore = ["driftwood"]
