"""Sources that bring hub classes of their own: one package each, named like the source.

``<name>/__init__.py`` defines a ``FileSystemDumper`` with ``SRC_NAME = "<name>"``, a ``SourceUploader`` with
``name = "<name>"``, or both. What it defines wins; what it leaves out is made from the manifest.
"""
