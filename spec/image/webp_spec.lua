-- WebP files as libwebp's own Python reader gives them, and what is refused.
local clinic = require "support.clinic"
local core = require "secateur.core"
local files = require "secateur.util.files"
local temporary = require "support.temporary"

describe("WebP", function()
  local missing = clinic.missing("WebP")
  if missing then return pending(missing) end
  local root
  setup(function() root = temporary.folder() end)
  teardown(function() files.remove(root) end)

  for _, name in ipairs { "lossless", "lossy", "alpha" } do
    it("is read exactly: " .. name, function() assert.is_true(clinic.difference(name .. ".webp") < 0.01) end)
  end

  it("is told by its content, its header read alone", function()
    assert.same({ 20, 12, 4, 8 }, { core.image_info(clinic.folder .. "alpha.webp") })
  end)

  it("that moves, is too large or cut short is refused", function()
    assert.equal("WebP: an animation; still images are read", clinic.refusal("refused_animation.webp"))
    assert.equal("20 x 12 pixels are more than max_pixels = 100", clinic.refusal("lossy.webp", { max_pixels = 100 }))
    local path = temporary.write(root, "cut.webp", clinic.bytes("lossy.webp"):sub(1, -40))
    assert.is_false((pcall(core.image_load, path)))
  end)

  it("damaged anywhere gives a picture or an error", function()
    clinic.try_damaged(root, { "lossless.webp", "lossy.webp", "alpha.webp", "refused_animation.webp" }, 8)
  end)
end)
