-- TIFF files as tifffile and Pillow read them, and what is refused.
local clinic = require "support.clinic"
local core = require "secateur.core"
local files = require "secateur.util.files"
local temporary = require "support.temporary"

describe("TIFF", function()
  local missing = clinic.missing("TIFF")
  if missing then return pending(missing) end
  local root
  setup(function() root = temporary.folder() end)
  teardown(function() files.remove(root) end)

  for _, name in ipairs { "grey8", "grey8_white", "grey16_lzw", "grey16_big", "rgb8_packbits", "rgb8_tiled",
    "rgb16_planar", "rgba8", "palette", "bilevel", "jpeg" } do
    it("is read exactly: " .. name, function() assert.is_true(clinic.difference(name .. ".tif") < 0.01) end)
  end

  it("is told by its content, its header read alone", function()
    assert.same({ 20, 12, 1, 16 }, { core.image_info(clinic.folder .. "grey16_big.tif") })
    assert.same({ 20, 12, 4, 8 }, { core.image_info(clinic.folder .. "rgba8.tif") })
  end)

  it("of several pages or of floating-point numbers is refused", function()
    assert.equal("TIFF: it holds 2 pages; single pages are read (split it into one file per page)",
      clinic.refusal("refused_pages.tif"))
    assert.equal("TIFF: 32-bit floating-point samples; 8 or 16 bit without sign are read",
      clinic.refusal("refused_float.tif"))
    assert.equal("20 x 12 pixels are more than max_pixels = 100", clinic.refusal("grey8.tif", { max_pixels = 100 }))
  end)

  it("cut short is an error", function()
    local bytes = clinic.bytes("grey16_lzw.tif")
    local path = temporary.write(root, "cut.tif", bytes:sub(1, #bytes - 60))
    assert.is_false((pcall(core.image_load, path)))
  end)

  it("damaged anywhere gives a picture or an error", function()
    clinic.try_damaged(root, { "grey16_lzw.tif", "rgb8_tiled.tif", "rgb16_planar.tif", "palette.tif", "bilevel.tif",
      "jpeg.tif", "rgb8_packbits.tif", "refused_pages.tif" }, 4)
  end)
end)
