"""The admin client. `aio.py` has the calls put together, `admin.py` the synchronous twin, the other files one area each."""
