"""What the stage that measures is made of: from windows of LoadGen to figures that may be shown.

``running`` the load generator's process and its progress, ``windows`` what it tells, ``figures`` a scenario's
figures, ``ratios`` one server's over the other's, ``intervals`` how wide a ratio is, ``knees`` where latency runs
away, ``histograms`` the files, ``conditions`` what both sides were measured with, ``findings`` all of it,
``comparing`` two measurements.
"""
