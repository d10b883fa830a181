"""The Neo Service Layer Functions API (contracts/neo.md): JavaScript stored, run sync or async, and polled."""
