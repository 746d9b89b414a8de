local core = require "secateur.core"
local errors = require "support.errors"
local interrupt = require "support.interrupt"
local needs = require "support.needs"
local safetensors = require "secateur.formats.safetensors"

describe("a Gaussian blur", function()
  it("is scipy's", function()
    local tensors = safetensors.load "spec/fixtures/gradients.safetensors"
    for _, sigma in ipairs { 0.8, 3.0 } do
      assert.is_true(core.gaussian_blur(tensors["blur/x"], sigma):allclose(tensors["blur/" .. sigma], 1e-5, 1e-6))
    end
  end)

  it("leaves constants, and a pixel alone when narrow", function()
    assert.is_true(core.gaussian_blur(core.full(2, 3, 5, 4, 7), 20):allclose(core.full(2, 3, 5, 4, 7), 1e-5))
    local x = core.randn(3, 4)
    assert.is_true(core.gaussian_blur(x, 0.05):allclose(x, 0, 0))
    assert.near(2, core.gaussian_blur(core.full(1, 1, 2), 1):get(1, 1), 1e-6)
  end)

  it("refuses what it cannot blur", function()
    assert.equal("gaussian_blur: x: expected planes [... x H x W], got [3]",
      errors.text(core.gaussian_blur, core.zeros(3), 1))
    assert.matches("^gaussian_blur: sigma: expected a number in %(0, 1000%], got %-?nan",
      errors.text(core.gaussian_blur, core.zeros(3, 3), 0 / 0))
    assert.matches("^gaussian_blur: sigma: .* got 0", errors.text(core.gaussian_blur, core.zeros(3, 3), 0))
    assert.matches("^gaussian_blur: x: expected a", errors.text(core.gaussian_blur, 3, 1))
  end)

  it("ends soon after Ctrl-C", function()
    needs.proc(pending)
    interrupt.check { setup = "local x = core.zeros(64, 512, 512)", call = "core.gaussian_blur, x, 1000" }
  end)
end)
