"""The record of one junk value, in the sealed junk files of a version.

File 0 is the dataset's list, which matching leaves out; file 1 holds what waits for the provider's decision.
"""

import numpy as np

JUNK_DTYPE = np.dtype([("key", "<u2"), ("hi", "<u8"), ("lo", "<u8"), ("holders", "<u4")])
