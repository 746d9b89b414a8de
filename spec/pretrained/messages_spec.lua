-- What is said of files that are no model of ours, or more than one.
local archives = require "support.checkpoints"
local child = require "support.child"
local core = require "secateur.core"
local errors = require "support.errors"
local files = require "secateur.util.files"
local foreign = require "support.foreign"
local safetensors = require "secateur.formats.safetensors"
local sc = require "secateur"
local stderr = require "support.stderr"
local temporary = require "support.temporary"

local p = archives.p
local folder

local function path(name) return files.join(folder, name) end

local function refusal(tensors, opts)
  safetensors.save(path "x.safetensors", tensors)
  local message = errors.here(function() sc.load_checkpoint(path "x.safetensors", opts) end)
  local lead = ("load_checkpoint: '%s': "):format(path "x.safetensors")
  assert.equal(lead, message:sub(1, #lead))
  return message:sub(#lead + 1)
end

local function copies(names)
  local state = {}
  for _, lead in ipairs(names) do
    for key, tensor in pairs(foreign.state "basic") do state[lead .. key] = tensor end
  end
  return state
end

describe("a checkpoint that cannot be read is told by what it is", function()
  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  it("also behind a prefix", function()
    for _, prefix in ipairs { "", "densenet121.", "module.net." } do
      for name, what in pairs {
        ["features.denseblock1.denselayer1.conv1.weight"] = "DenseNet's blocks",
        ["stages.0.blocks.0.norm1.weight"] = "norms before its convolutions (ResNetV2, BiT)",
        ["stages.0.blocks.0.conv_dw.weight"] = "stages of ConvNeXt",
        ["s1.b1.conv1.conv.weight"] = "stages of RegNet",
        ["norm_pre.weight"] = "a norm before its blocks (CLIP)",
      } do
        local lead = ("the weights are of a model with %s ('%s' "):format(what, prefix .. name)
        assert.equal(lead, refusal({ [prefix .. name] = core.zeros(2, 2), [prefix .. "norm.weight"] = core.zeros(2) })
          :sub(1, #lead))
      end
    end
  end)

  it("as several networks, a momentum copy last", function()
    local state = copies { "module.encoder_k.", "module.encoder_q." }
    state["module.queue"] = core.zeros(4, 8)
    assert.equal("it holds several networks, behind 'module.encoder_q.' and 'module.encoder_k.' (a copy that followed "
      .. "it); choose one of them with prefix", refusal(state))
    local model = sc.load_checkpoint(path "x.safetensors", { prefix = "module.encoder_q.", size = 32, quiet = true })
    assert.is_true(foreign.error(model:forward(foreign.tensor "x/32"), foreign.tensor "basic/logits") < 1e-5)
  end)

  it("as a network and something else, with the whole prefix", function()
    local state = copies { "module.backbone." }
    state["module.queue"] = core.zeros(4)
    assert.equal("taken for a resnet: 1 unexpected: queue; prefix = 'module.backbone.' would look at names that begin "
      .. "so alone", refusal(state, { size = 32 }))
    local opts = { size = 32, prefix = "module.backbone.", quiet = true }
    assert.equal(4, sc.load_checkpoint(path "x.safetensors", opts).class_count)
  end)

  it("as a ResNet whose shortcuts have no weights", function()
    local state = copies { "" }
    for name in pairs(state) do
      if name:find "downsample" then state[name] = nil end
    end
    assert.equal("expected weights of shortcuts, 'layer2.0.downsample.0.weight' or 'layer2.0.shortcut.0.weight', which "
      .. "are not there; shortcuts that pad with zeros (He et al. 2016, option A) are not supported",
      refusal(state, { size = 32 }))
  end)
end)

describe("a file of two dictionaries of weights", function()
  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  it("gives the one that is no average, and says so", function()
    local one, other = archives.floats(1, 2), archives.floats(3, 4)
    local body = p.dict(p.str "model", p.dict(p.str "l.weight", p.tensor { key = "0", shape = { 1, 2 } }),
      p.str "model_ema", p.dict(p.str "l.weight", p.tensor { key = "1", shape = { 1, 2 } }))
    temporary.write(folder, "two.pth", archives.zip(body, { ["0"] = one, ["1"] = other }))
    local tensors
    local told = "took the weights in 'model' and left those in 'model_ema' (key = 'model_ema')\n"
    local said = stderr.text(function() tensors = sc.load_weights(path "two.pth") end)
    assert.equal(("load_weights: '%s': %s"):format(path "two.pth", told), said)
    assert.same({ { 1, 2 } }, tensors["l.weight"]:totable())
    assert.equal("", stderr.text(function() tensors = sc.load_weights(path "two.pth", { key = "model_ema" }) end))
    assert.same({ { 3, 4 } }, tensors["l.weight"]:totable())
    local model = sc.model { input = { 2 }, build = function(net, x)
      return net:linear("l", x, { out = 1, bias = false })
    end }
    assert.equal(("load_state: '%s': %s"):format(path "two.pth", told),
      stderr.text(function() model:load_state(path "two.pth") end))
  end)
end)

describe("tensors that cannot be read", function()
  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  -- A safetensors file with the tensors, and with some stored as eight-bit floats.
  local function with_float8(tensors, names)
    local parts, data, at = {}, {}, 0
    for name, tensor in pairs(tensors) do
      local eight, bytes = names[name], {}
      local flat = tensor:reshape(-1)
      for i = 1, tensor:numel() do
        bytes[i] = eight and "\0" or tensor:dtype() == "int64" and string.pack("<i8", flat:size(1) and 0)
          or string.pack("<f", flat:get(i))
      end
      bytes = table.concat(bytes)
      parts[#parts + 1] = ('"%s":{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}'):format(name,
        eight and "F8_E4M3" or tensor:dtype() == "int64" and "I64" or "F32", table.concat(tensor:shape(), ","), at,
        at + #bytes)
      data[#data + 1], at = bytes, at + #bytes
    end
    local header = "{" .. table.concat(parts, ",") .. "}"
    return temporary.write(folder, "e.safetensors", string.pack("<s8", header) .. table.concat(data))
  end

  it("are passed over by name, unless they are needed", function()
    local state = foreign.state "vgg"
    state["classifier.0.weight_scale"] = core.zeros(3)
    local file = with_float8(state, { ["classifier.0.weight_scale"] = true })
    local model, notes = sc.load_checkpoint(file, { size = 16, quiet = true })
    assert.is_true(foreign.error(model:forward(foreign.tensor "x/16"), foreign.tensor "vgg/logits") < 1e-5)
    assert.is_truthy(table.concat(notes, "\n"):find("left out 'classifier.0.weight_scale' (a tensor of F8_E4M3)", 1,
      true))
    assert.equal(("load_state: '%s': left out 'classifier.0.weight_scale' (a tensor of F8_E4M3)\n"):format(file),
      stderr.text(function() model:load_state(file) end))
    file = with_float8(state, { ["classifier.0.weight"] = true, ["classifier.0.weight_scale"] = true })
    local message = errors.here(function() sc.load_checkpoint(file, { size = 16 }) end)
    assert.is_truthy(message:find("classifier.0.weight (expected float32 [9x24], got a tensor of F8_E4M3)", 1, true),
      message)
  end)
end)

describe("another Lua", function()
  it("is refused with the version that is needed", function()
    if not os.execute "command -v lua5.1 > /dev/null" then return pending "no lua5.1" end
    local pipe = io.popen [[lua5.1 -e 'package.path = "lua/?.lua;lua/?/init.lua"
      print(pcall(require, "secateur"))' 2>&1]]
    local text = pipe:read "a"
    pipe:close()
    assert.is_truthy(text:find("secateur: expected Lua 5.4, got Lua 5.1; run the script with lua5.4", 1, true), text)
    assert.is_not_nil(child.interpreter())
  end)
end)
