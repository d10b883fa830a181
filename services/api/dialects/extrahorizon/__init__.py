"""The Extra Horizon dialect: ``/tasks/v1``, ``/auth/v2`` and ``/users/v1``, in the words of their clients."""
