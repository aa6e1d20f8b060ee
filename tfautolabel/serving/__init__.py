"""A server that speaks TensorFlow Serving's REST protocol.

`places` finds models and their versions on the disk, `servable` loads one version and checks it, `models`
keeps what is served up to date, `tensors` turns JSON into arrays and back, `batching` merges requests,
`application` answers them, `server` runs it all as `settings` say.

This file imports nothing, so that a mistake in a path or a setting is reported before TensorFlow loads.
"""
