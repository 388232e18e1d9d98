"""What all connections have in common."""

_MASK = "******"


class _Config:
    """An attribute that lives in `configs`."""

    def __init__(self, name):
        self.name = name

    def __get__(self, connection, owner=None):
        return self if connection is None else connection.configs.get(self.name)

    def __set__(self, connection, value):
        connection.configs[self.name] = value


class _Key:
    """The `api_key`, which connections that sign in by other means do not have."""

    def __get__(self, connection, owner=None):
        if connection is None:
            return self
        return connection.secrets.get("api_key") if connection._has_api_key else None

    def __set__(self, connection, value):
        connection.secrets["api_key"] = value


class _Connection:
    """What all connections have: `name`, `type`, `configs` and `secrets`."""

    TYPE = "NotSet"
    #: The type as connection files and the host write it.
    _WORD = None
    SUPPORTED_TYPES = {}

    def __init__(self, name=None, module="promptflow.connections", configs=None, secrets=None, **kwargs):
        self.name = name
        self.type = self.TYPE
        self.class_name = f"{self.TYPE}Connection"
        self.configs = configs if configs is not None else {}
        self.module = module
        self.secrets = secrets if secrets is not None else {}
        self._secrets = dict(self.secrets)
        self.expiry_time = kwargs.get("expiry_time")
        self.created_date = kwargs.get("created_date")
        self.last_modified_date = kwargs.get("last_modified_date")
        # What the host told, so that it gets only the name back while nothing was changed.
        self._from = None

    def keys(self):
        """The names of configs and secrets."""
        return [*self.configs, *self.secrets]

    def __getitem__(self, key):
        if key in self.secrets:
            return self.secrets[key]
        if key in self.configs:
            return self.configs[key]
        raise KeyError(f"Key {key!r} not found in connection {self.name!r}.")

    def __iter__(self):
        return iter(self.keys())

    def __contains__(self, key):
        return key in self.secrets or key in self.configs

    def __eq__(self, other):
        if type(other) is not type(self):
            return NotImplemented
        return (self.name, self.configs, self.secrets) == (other.name, other.configs, other.secrets)

    def __hash__(self):
        return hash((type(self).__name__, self.name))

    def __repr__(self):
        parts = [f"name={self.name!r}"] if self.name is not None else []
        parts += [f"{key}={value!r}" for key, value in self.configs.items() if value is not None and not key.startswith("promptflow.")]
        parts += [f"{key}='{_MASK}'" for key in self.secrets]
        return f"{type(self).__name__}({', '.join(parts)})"

    def _to_execution_connection_dict(self):
        value = {**self.configs, **self.secrets}
        return {
            "name": self.name,
            "type": self.class_name,
            "module": self.module,
            "value": {key: item for key, item in value.items() if item is not None},
            "secret_keys": list(self.secrets),
        }

    @classmethod
    def _from_execution_connection_dict(cls, name, data):
        from promptflow.connections import _from_host

        value, secret = data.get("value") or {}, set(data.get("secret_keys") or ())
        kind = data.get("type") or ""
        return _from_host(
            {
                "type": kind[: -len("Connection")] if kind.endswith("Connection") else kind,
                "name": name,
                "configs": {key: item for key, item in value.items() if key not in secret},
                "secrets": {key: item for key, item in value.items() if key in secret},
            }
        )


class _StrongTypeConnection(_Connection):
    """A connection whose fields are known."""

    _CONFIGS = ()
    _SECRETS = ("api_key",)

    api_key = _Key()

    @property
    def _has_api_key(self):
        return True


class _WithToken(_StrongTypeConnection):
    """A connection that signs in with a key, or with a token of Microsoft Entra."""

    auth_mode = _Config("auth_mode")

    @property
    def _has_api_key(self):
        return (self.configs.get("auth_mode") or "key") == "key"

    def get_token(self):
        """A token for the service."""
        provider = self.__dict__.get("_token_provider")
        if provider is None:
            try:
                from azure.identity import DefaultAzureCredential
            except ImportError:
                from promptflow.exceptions import UserErrorException

                raise UserErrorException(
                    f"connection '{self.name}' signs in with a token, which the package azure-identity gets: pip install azure-identity"
                ) from None
            return DefaultAzureCredential().get_token("https://cognitiveservices.azure.com/.default").token
        return provider() if callable(provider) else provider.get_token()


def _rest(kwargs):
    """Of what a constructor was given more, what a connection keeps."""
    known = ("name", "module", "expiry_time", "created_date", "last_modified_date")
    return {key: kwargs[key] for key in known if kwargs.get(key) is not None}


def _unset(variables, kind):
    from promptflow.core._errors import RequiredEnvironmentVariablesNotSetError

    return RequiredEnvironmentVariablesNotSetError(env_vars=variables, cls_name=kind.__name__)
