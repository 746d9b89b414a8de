--- The native core, in the variant for the vector instructions of this processor.
-- It is compiled once per level ("avx512", "avx2", "portable"); results are equal to the bit in all of them.
-- `SECATEUR_CPU=level` in the environment forces a lower one, `secateur.cpu` tells which is in use.
-- @module secateur.core
local cpu = require "secateur.cpu"
local errors = require "secateur.util.errors"

local variants = {
  portable = function() return require "secateur.core_portable" end,
  avx2 = function() return require "secateur.core_avx2" end,
  avx512 = function() return require "secateur.core_avx512" end,
}

cpu.prepare() -- OpenMP looks at the environment when the core brings it in

local core = variants[cpu.level]()
core.set_raise(function(message, exhausted)
  if exhausted then errors.exhausted(message) end
  errors.raise(message)
end)

-- Decoders in modules of their own, which the core loads when it meets such a file; `core.codecs()` tells which work.
for format, name in pairs { TIFF = "secateur.tiff", WebP = "secateur.webp", DICOM = "secateur.dicom" } do
  local path = package.searchpath(name, package.cpath)
  if path then core.set_codec(format, path) end
end

return core
