"""The numeric limits of every format, in one place, so that messages and tests name the same figures."""

KEY_BYTES = 32
DIGEST_BYTES = 32
TOKEN_BYTES = 16
TAG_BYTES = 16

CHUNK_BYTES = 1 << 20
"""Plaintext of one sealed chunk: measured fastest, since a chunk stays in the processor's cache."""
MIN_CHUNK_BYTES = 1 << 12
MAX_CHUNK_BYTES = 1 << 24
MAX_CHUNKS = 1 << 32
"""Chunks of one sealed file: far under what one AES-GCM key may encrypt."""

MAX_WRAPPED_KEY_BYTES = 510
"""Room for a wrapped key in a sealed file's header; the largest blob of a key service stays under 256."""
MAX_WRAP_PLAINTEXT_BYTES = 4096
MAX_KEY_FILE_BYTES = 16 << 20

MAX_MANIFEST_BYTES = 64 << 10
MAX_PACKAGE_ROWS = 1 << 40

MAX_NOTE_BYTES = 64 << 10
MAX_NOTE_SIGNATURES = 100
"""As in Go's note package, so that what we accept it accepts."""

MAX_LABEL_BYTES = 255
MAX_LINE_BYTES = 1 << 20
"""One line of a source file; a longer one is refused before it is held in memory."""
