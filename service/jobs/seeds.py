"""The service's own seed: one for each model and image, which nobody can know or choose beforehand."""

import hashlib
import hmac
import secrets

from redis import Redis

from contract import keys


def deployment_secret(redis: Redis) -> bytes:
    """Returns the secret of the deployment, made at its first use and kept in Redis."""
    while not isinstance(found := redis.get(keys.SECRET), bytes):
        redis.set(keys.SECRET, secrets.token_bytes(32), nx=True)
    return found


def own_seed(secret: bytes, model_digest: str, image_digest: str) -> str:
    """Returns 128 bits in hexadecimal: HMAC-SHA256 of model and image under the secret.

    The same question gets the same votes, whatever else is asked: a larger `n` continues those of a smaller
    one, so asking again never buys a luckier draw. Nobody can fit an image to votes that he does not know.

    >>> own_seed(b"secret", "ab" * 32, "cd" * 32)
    '0b5eff7625b657ae7fc2c881df3ee90b'
    """
    message = f"radii:seed:v1:{model_digest}:{image_digest}".encode()
    return hmac.new(secret, message, hashlib.sha256).hexdigest()[:32]
