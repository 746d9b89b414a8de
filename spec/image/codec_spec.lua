-- Formats that stand in modules of their own: what is said where a module, or the library that it needs, is not there.
local clinic = require "support.clinic"
local core = require "secateur.core"
local errors = require "support.errors"
local files = require "secateur.util.files"
local temporary = require "support.temporary"

local samples = { TIFF = "grey8.tif", WebP = "lossy.webp", DICOM = "ct_explicit.dcm" }
local needs = { TIFF = { "libtiff", "libtiff-dev" }, WebP = { "libwebp", "libwebp-dev" },
  DICOM = { "DCMTK", "libdcmtk-dev and g++" } }

describe("a format in a module of its own", function()
  local double = require "secateur.core_double" -- nobody has told it where modules are

  it("is recognised without its module, and says what to install", function()
    for format, sample in pairs(samples) do
      local path = clinic.folder .. sample
      local reason = ("%s: this build has no %s; install %s and run make again"):format(format,
        table.unpack(needs[format]))
      assert.equal(reason, double.codecs()[format])
      assert.equal("image_load: '" .. path .. "': " .. reason, errors.raised(double.image_load, path))
      local _, message = double.image_info(path)
      assert.equal("'" .. path .. "': " .. reason, message)
    end
    local path = clinic.folder .. samples.DICOM
    assert.same({ false, "'" .. path .. "': DICOM: this build has no DCMTK; install libdcmtk-dev and g++ and run make "
      .. "again" },
      { double.dicom_identifiers(path) })
  end)

  it("says why its module cannot be loaded", function()
    local root = temporary.folder()
    local path = temporary.write(root, "tiff.so", "no shared object")
    double.set_codec("TIFF", path)
    local message = double.codecs().TIFF
    files.remove(root)
    assert.is_truthy(message:find("^TIFF: its module cannot be loaded %("), message)
    assert.is_truthy(message:find("; install libtiff-dev and run make again", 1, true), message)
  end)

  it("is one of three", function()
    assert.equal("set_codec: codec: expected a format and a path, got unknown and 'x.so'",
      errors.raised(core.set_codec, "PNG", "x.so"))
  end)
end)
