"""``python -m shop``: send tasks by hand."""

import sys

from shop.place import main

sys.exit(main())
