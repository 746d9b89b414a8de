local json = require "secateur.util.json"
local core = require "secateur.core"
local files = require "secateur.util.files"
local models = require "secateur.models"

-- Means and spreads of torchvision's draws; spec/fixtures/make_initial.py says of which networks.
local reference = json.decode((assert(files.read_all "spec/fixtures/initial.json")))

local function resnet(block)
  return { block = block, planes = { 8, 12, 16, 20 }, blocks = { 1, 1, 1, 1 }, classes = 40, size = 32 }
end

local function vgg(batch_norm)
  return { config = { 16, "M", 24, "M" }, hidden = { 96, 64 }, pool = 2, classes = 40, size = 16,
    batch_norm = batch_norm }
end

local function vit(opts)
  opts.classes = 40
  return opts
end

local same = {
  vgg = { "vgg", vgg(false) },
  vgg_bn = { "vgg", vgg(true) },
  basic = { "resnet", resnet "basic" },
  bottleneck = { "resnet", resnet "bottleneck" },
  vit = { "vit", vit { size = 24, patch = 4, layers = 2, heads = 2, dim = 48, mlp = 80 } },
  vit_one = { "vit", vit { size = 4, patch = 1, layers = 1, heads = 1, dim = 512, mlp = 8, channels = 1 } },
}

local function describe_tensor(tensor)
  if tensor:dtype() == "int64" then
    local value = tensor:totable()
    return { mean = value, std = 0, min = value, max = value }
  end
  local flat = tensor:reshape(-1)
  local mean = flat:mean()
  local centred = flat - mean
  return { mean = mean, std = math.sqrt((centred * centred):mean()), min = -(-flat):max(), max = flat:max() }
end

describe("initial weights", function()
  for name, how in pairs(same) do
    it(("of %s are spread as torchvision's"):format(name), function()
      local opts = {}
      for key, value in pairs(how[2]) do opts[key] = value end
      opts.seed = 3
      local state, expected = models[how[1]](opts):state(), reference[name]
      for parameter, tensor in pairs(state) do
        local entry, got = assert(expected[parameter], parameter), describe_tensor(tensor)
        assert.same(entry.shape, tensor:shape())
        -- Standard deviations from draw to draw: means and spreads are normal, extremes have an exponential tail.
        for statistic, allowed in pairs { mean = 6, std = 6, min = 12, max = 12 } do
          local mean, spread = table.unpack(entry[statistic])
          assert.near(mean, got[statistic], allowed * spread + 1e-7 * math.abs(mean), parameter .. ": " .. statistic)
        end
      end
      for parameter in pairs(expected) do assert.is_truthy(state[parameter], parameter) end
    end)
  end

  it("differ between parameters of one shape", function()
    local state = models.vgg({ config = { 8, 8, 8 }, hidden = {}, pool = 1, classes = 2, size = 8 }):state()
    assert.are_not.same(state["features.2.weight"]:totable(), state["features.4.weight"]:totable())
  end)

  it("can be drawn for some parameters alone, as they would be among all", function()
    local init_weights = require "secateur.models.initial_weights"
    local family = require "secateur.models.resnet"
    local opts = { block = "basic", planes = { 4 }, blocks = { 1 }, stem = 4, classes = 3, size = 32, channels = 1,
      groups = 1, width_per_group = 64 }
    local graph = family.graph(opts)
    assert.equal(0, graph:parameter("conv1.weight"):abs():sum())
    init_weights(graph, family.initial, 5, { ["fc.weight"] = true })
    assert.equal(0, graph:parameter("conv1.weight"):abs():sum())
    local whole = models.resnet { block = "basic", planes = { 4 }, blocks = { 1 }, stem = 4, classes = 3, size = 32,
      channels = 1, seed = 5 }
    assert.is_true(core.ones(3, 4):allclose(graph:parameter("fc.weight") / whole:state()["fc.weight"]))
  end)
end)
