-- DICOM files: every transfer syntax, sign, window, table and colour as pydicom reads them, and what is refused.
local clinic = require "support.clinic"
local core = require "secateur.core"
local errors = require "support.errors"
local files = require "secateur.util.files"
local temporary = require "support.temporary"

local HALF = 0.5001 -- grey levels are rounded to 16 bits

describe("DICOM", function()
  local missing = clinic.missing("DICOM")
  if missing then return pending(missing) end
  local root
  setup(function() root = temporary.folder() end)
  teardown(function() files.remove(root) end)

  for _, syntax in ipairs { "implicit", "explicit", "big_endian", "deflated", "rle", "jpeg_ls", "jpeg_lossless",
    "jpeg2000", "bare" } do
    it("of a transfer syntax gives the same grey levels: " .. syntax, function()
      assert.is_true(clinic.difference("ct_explicit.dcm", "ct_" .. syntax .. ".dcm") < HALF)
    end)
  end

  for _, name in ipairs { "ct_signed", "ct_signed_big_endian", "ct_signed_plain", "ct_exact", "ct_sigmoid",
    "cr_monochrome1", "cr_monochrome1_plain", "dx_plain", "dx_high_bit", "dx_voi_table", "cr_modality_table" } do
    it("has the grey levels of PS3.3: " .. name, function()
      assert.is_true(clinic.difference(name .. ".dcm") < HALF)
    end)
  end

  it("of 8 bits keeps them, and colours are RGB whatever they are stored as", function()
    for _, name in ipairs { "dx_8bit", "rgb", "rgb_planar", "rgb_rle", "rgb_jpeg2000", "ybr_full", "ybr_full_422",
      "ybr_jpeg", "palette" } do
      assert.is_true(clinic.difference(name .. ".dcm") < 0.01, name)
    end
  end)

  it("takes another window, or all values, on demand", function()
    assert.is_true(clinic.difference("ct_explicit.dcm:full", "ct_explicit.dcm", { window = "full" }) < HALF)
    assert.is_true(clinic.difference("ct_explicit.dcm:given", "ct_explicit.dcm", { window = { -600, 1500 } }) < HALF)
    assert.is_true(clinic.difference("ct_explicit.dcm:given", "ct_explicit.dcm") > 1000)
    assert.equal([[image_load: window: expected "file", "full" or {centre, width}, two numbers, got 'lung']],
      errors.raised(core.image_load, "x.dcm", { window = "lung" }))
    assert.equal("image_load: window: expected a width of at least 1, got 0.0",
      errors.raised(core.image_load, "x.dcm", { window = { 40, 0 } }))
  end)

  it("gives window to image sources as well", function()
    local paths = { clinic.folder .. "ct_explicit.dcm" }
    local source <close> = core.image_source { kind = "files", paths = paths, window = { -600, 1500 } }
    local loaded = core.image_load(paths[1], { window = { -600, 1500 } })
    assert.same(loaded:totable(), source:pixels(1):totable())
  end)

  it("is told by its content, its header read alone", function()
    assert.same({ 20, 12, 1, 16 }, { core.image_info(clinic.folder .. "ct_bare.dcm") })
    assert.same({ 20, 12, 3, 8 }, { core.image_info(clinic.folder .. "ybr_jpeg.dcm") })
  end)

  it("may begin as a TIFF file does", function()
    local path = temporary.write(root, "dual", "II*\0" .. clinic.bytes("ct_rle.dcm"):sub(5))
    assert.same(core.image_load(clinic.folder .. "ct_rle.dcm"):totable(), core.image_load(path):totable())
  end)

  it("has as many bits as its JPEG 2000 stream, whatever the header says", function()
    local stored, high = "\40\0\1\1US\2\0", "\40\0\2\1US\2\0"
    local bytes = clinic.bytes("ct_jpeg2000.dcm")
    local first, last = bytes:find(stored .. "\12\0" .. high .. "\11\0", 1, true)
    local path = temporary.write(root, "bits.dcm", bytes:sub(1, first - 1) .. stored .. "\16\0" .. high .. "\15\0"
      .. bytes:sub(last + 1))
    for _, window in ipairs { "file", "full" } do
      assert.same(core.image_load(clinic.folder .. "ct_jpeg2000.dcm", { window = window }):totable(),
        core.image_load(path, { window = window }):totable())
    end
  end)

  it("tells patient, study and series, and nothing else", function()
    assert.same({ "patient-17", "1.2.826.0.1.3680043.8.498.2", "1.2.826.0.1.3680043.8.498.3" },
      { core.dicom_identifiers(clinic.folder .. "ct_jpeg2000.dcm") })
    local path = clinic.folder .. "grey8.tif"
    assert.same({ false, "'" .. path .. "': not a DICOM file" }, { core.dicom_identifiers(path) })
  end)

  it("with several frames, an impossible window, size or colour is refused with the reason", function()
    assert.equal("DICOM: it holds 3 frames; single frames are read (split it into one file per frame)",
      clinic.refusal("refused_frames.dcm"))
    assert.equal('DICOM: a window of centre 40 and width 0; window = {centre, width} or "full" does without',
      clinic.refusal("refused_window.dcm"))
    assert.equal("60000 x 60000 pixels are more than max_pixels = 67108864", clinic.refusal("refused_size.dcm"))
    assert.equal("DICOM: PhotometricInterpretation: expected MONOCHROME1, MONOCHROME2, PALETTE COLOR, RGB or "
      .. "YBR_FULL(_422), got 'CIELAB'", clinic.refusal("refused_colours.dcm"))
  end)

  it("is named when a source checks its headers", function()
    local path = clinic.folder .. "refused_frames.dcm"
    local source <close> = core.image_source { kind = "files", paths = { clinic.folder .. "ct_rle.dcm", path } }
    assert.same({ { index = 2, message = "'" .. path .. "': DICOM: it holds 3 frames; single frames are read "
      .. "(split it into one file per frame)" } }, source:check())
  end)

  it("cut short is an error, and nothing worse", function()
    for _, name in ipairs { "ct_explicit", "ct_rle", "ct_jpeg_lossless", "ct_jpeg_ls", "ct_jpeg2000", "ybr_jpeg" } do
      local bytes = clinic.bytes(name .. ".dcm")
      local path = temporary.write(root, "cut.dcm", bytes:sub(1, #bytes - 60))
      assert.is_false((pcall(core.image_load, path)), name)
    end
  end)

  it("whose sequences lie in each other without end is refused, from memory and by its header", function()
    local meta = "\2\0\16\0UI\20\0001.2.840.10008.1.2.1\0"
    local level = "\8\0\64\17SQ\0\0\255\255\255\255\254\255\0\224\255\255\255\255"
    local path = temporary.write(root, "deep.dcm", ("\0"):rep(128) .. "DICM\2\0\0\0UL\4\0"
      .. ("<I4"):pack(#meta) .. meta .. level:rep(50000))
    local wanted = "'" .. path .. "': a damaged DICOM file: its sequences lie in each other too deep"
    assert.equal("image_load: " .. wanted, errors.raised(core.image_load, path))
    local _, message = core.image_info(path)
    assert.equal(wanted, message)
  end)

  it("damaged anywhere gives a picture or an error", function()
    clinic.try_damaged(root, { "ct_explicit.dcm", "ct_bare.dcm", "ct_rle.dcm", "ct_jpeg_lossless.dcm", "ct_jpeg_ls.dcm",
      "ct_jpeg2000.dcm", "ybr_jpeg.dcm", "palette.dcm", "dx_voi_table.dcm", "rgb_rle.dcm", "ct_deflated.dcm" }, 4)
  end)
end)
