"""Caching of calls: the host's cache does that, so what is here does nothing."""

__all__ = ["AbstractCacheManager", "CacheManager", "enable_cache"]

__path__ = []


def enable_cache(calculate_cache_string_func=None):
    """A decorator that gives the function back."""

    def decorate(function):
        function.cache_string_func = calculate_cache_string_func
        return function

    return decorate


class AbstractCacheManager:
    """A cache that never holds anything."""

    @staticmethod
    def init_from_env():
        return CacheManager()

    def calculate_cache_info(self, flow_id, tool_method, args, kwargs):
        return None

    def get_cache_result(self, cache_info):
        return None

    def persist_result(self, run_info, hash_id, cache_string, flow_id):
        return None


class CacheManager(AbstractCacheManager):
    """The same under its other name."""
