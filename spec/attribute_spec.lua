local sc = require "secateur"

describe("attribute", function()
  local model = sc.models.vgg { config = { 4, "M" }, hidden = { 6 }, pool = 2, classes = 3, size = 8 }
  local x = sc.randn(2, 3, 8, 8, { seed = 1 })

  -- The message, without the position of this file.
  local function refusal(opts, input)
    local ok, message = pcall(function() sc.attribute(model, input or x, opts) end)
    assert.is_false(ok)
    assert.matches("^[^:]*attribute_spec%.lua:%d+: ", message)
    return (message:gsub("^[^:]*:%d+: ", ""))
  end

  it("refuses what it cannot explain, at the caller's line", function()
    assert.equal("attribute: target: expected a class in 1..3, got 4", refusal { target = 4 })
    assert.equal("attribute: target: expected 2 classes, one per sample, got 1", refusal { target = { 1 } })
    assert.equal("attribute: steps: expected \"auto\" or a whole number in [1, 1048576], got 0",
      refusal { method = "ig", steps = 0 })
    assert.equal("attribute: layers: expected nodes of the model, got 'features.9'",
      refusal { layers = { "features.9" } })
    assert.equal("attribute: baseline: expected \"black\", \"zero\", \"blurred\", a Tensor, a split, or a list of "
      .. "these, got 'blue'", refusal { method = "ig", baseline = "blue" })
  end)

  it("refuses images that are not finite, for every method", function()
    local bad = x:clone():set(0 / 0, 1, 1, 1, 1)
    for _, method in ipairs { "lrp", "dlb", "ig" } do
      assert.equal("attribute: x: expected images and weights that give finite logits, got some that are not",
        refusal({ method = method }, bad))
    end
  end)

  it("starts from black as the training images were normalised", function()
    local grey = model:clone()
    grey.info.normalisation = { mean = { 0.5, 0.5, 0.5 }, std = { 0.25, 0.25, 0.25 } }
    local from_black = sc.attribute(grey, x, { method = "ig", target = 1, layers = {} })
    local from_minus_two = sc.attribute(grey, x, { method = "ig", target = 1, layers = {},
      baseline = sc.full(3, 8, 8, -2) })
    assert.is_true(from_black.input:allclose(from_minus_two.input, 0, 0))
    assert.is_false(from_black.input:allclose(sc.attribute(model, x, { method = "ig", target = 1, layers = {} }).input))
  end)
end)
