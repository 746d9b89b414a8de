local foreign = require "support.foreign"
local core = require "secateur.core"
local errors = require "support.errors"
local families = require "support.families"
local files = require "secateur.util.files"
local sc = require "secateur"
local safetensors = require "secateur.formats.safetensors"
local stderr = require "support.stderr"
local temporary = require "support.temporary"

local folder

local function path(name) return files.join(folder, name or "weights") end

-- A file of one of the fixture's networks.
local function written(name, rename, change)
  local state = foreign.state(name, rename)
  if change then change(state) end
  safetensors.save(path(name), state)
  return path(name)
end

local PREPARED = "how its images were prepared is not in the file"

local loud = false -- whether it is looked at what is said

-- Without the note that all files of weights have.
local function load_checkpoint(file, opts)
  local given = { quiet = not loud }
  for key, value in pairs(opts or {}) do given[key] = value end
  local model, notes = sc.load_checkpoint(file, given)
  local last = notes[#notes]
  if last and last:sub(1, #PREPARED) == PREPARED then notes[#notes] = nil end
  return model, notes
end

-- What is said on stderr, without that note.
local function said(f)
  local kept = {}
  loud = true
  local text = stderr.text(f)
  loud = false
  for line in text:gmatch "[^\n]*\n" do
    if not line:find(PREPARED, 1, true) then kept[#kept + 1] = line end
  end
  return table.concat(kept)
end

local networks = {
  vgg = { size = 16, seen = "vgg" }, vgg_bn = { size = 16, seen = "vgg" }, basic = { size = 32, seen = "resnet" },
  bottleneck = { size = 32, seen = "resnet" }, wide = { size = 32, seen = "resnet" },
  resnext = { size = 32, seen = "resnet" }, vit = { size = 16, seen = "vit", heads = 2 },
  timm = { size = 16, seen = "vit", heads = 3 },
}

local function options_of(name, more)
  local opts = { size = networks[name].size, heads = networks[name].heads }
  for key, value in pairs(more or {}) do opts[key] = value end
  return opts
end

local function assert_logits(name, model, suffix)
  local x = foreign.tensor("x/" .. networks[name].size)
  assert.is_true(foreign.error(model:forward(x), foreign.tensor(name .. (suffix or "/logits"))) < 1e-5, name)
end

describe("a checkpoint", function()
  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  for name, network in pairs(networks) do
    it(("of a %s becomes a model with the same logits"):format(name), function()
      local model, notes
      assert.equal("", said(function()
        model, notes = load_checkpoint(written(name), options_of(name))
      end))
      assert_logits(name, model)
      assert.same({}, notes)
      assert.equal(network.seen, model.info.architecture)
      assert.equal(4, model.class_count)
      assert.same({ 3, network.size, network.size }, model.input_shape)
    end)
  end

  it("may come from PyTorch's files, in half precision, wrapped and under prefixes", function()
    assert_logits("basic", (load_checkpoint(foreign.folder .. "basic.pth", { size = 32 })))
    assert_logits("timm", (load_checkpoint(foreign.folder .. "timm.pth", { heads = 3 })))
  end)

  it("may have names behind a wrapper's, of an older ViT, or a prefix of its own", function()
    local function older(name)
      return "module." .. name:gsub("mlp%.0", "mlp.linear_1"):gsub("mlp%.3", "mlp.linear_2")
    end
    assert_logits("vit", (load_checkpoint(written("vit", older), { heads = 2 })))
    local averaged = written("basic", function(name) return "module." .. name end,
      function(state) state.n_averaged = core.tensor({ 5 }, "int64") end) -- torch.optim.swa_utils.AveragedModel
    assert_logits("basic", (load_checkpoint(averaged, { size = 32 })))
    local file = written("vgg", function(name) return "net." .. name end,
      function(state) state["loss.weight"] = core.zeros(4) end)
    assert_logits("vgg", (load_checkpoint(file, { size = 16, prefix = "net." })))
  end)

  it("tells of a prefix that only some names have", function()
    local file = written("basic", function(name) return "backbone." .. name end,
      function(state) state["projector.weight"] = core.zeros(4) end)
    local message = errors.here(function() sc.load_checkpoint(file) end)
    local hint = "; prefix = 'backbone.' would look at names that begin so alone"
    assert.equal(hint, message:sub(-#hint))
    assert_logits("basic", (load_checkpoint(file, { size = 32, prefix = "backbone." })))
    message = errors.here(function() sc.load_checkpoint(file, { prefix = "spine." }) end)
    assert.equal(("load_checkpoint: '%s': prefix: no name begins with 'spine.'"):format(file), message)
  end)

  it("needs no counters of batches", function()
    local file = written("basic", nil, function(state)
      for name in pairs(state) do if name:find "num_batches" then state[name] = nil end end
    end)
    assert_logits("basic", (load_checkpoint(file, { size = 32 })))
  end)

  it("that model:save wrote loads as it was", function()
    for name, model in pairs(families.all()) do
      model:save(path(name))
      local back, notes = load_checkpoint(path(name))
      local x = families.batch(model, 2)
      assert.same(model:forward(x):totable(), back:forward(x):totable())
      assert.same(model.info, back.info)
      assert.same({}, notes)
    end
    for option, value in pairs { heads = 2, prefix = "a.", architecture = "vgg11" } do
      assert.equal(("load_checkpoint: '%s': %s: expected none, the file says itself what its model is"):format(
        path "vgg", option), errors.here(function() sc.load_checkpoint(path "vgg", { [option] = value }) end))
    end
  end)

  it("is told by name where an architecture has one", function()
    local bare = require "secateur.models.resnet"
    local opts = { stem = 64, groups = 1, width_per_group = 64, classes = 2, size = 32, channels = 3 }
    for key, value in pairs(bare.configs.resnet18) do opts[key] = value end
    local graph = bare.graph(opts)
    local state = {}
    for _, p in ipairs(graph:parameters()) do state[p.name] = graph:parameter(p.name) end
    safetensors.save(path(), state)
    assert.equal("resnet18", load_checkpoint(path()).info.architecture)
    assert.equal("resnet18", load_checkpoint(path(), { architecture = "resnet18" }).info.architecture)
    local here = errors.here
    local lead = ("load_checkpoint: '%s': "):format(path())
    assert.equal(lead .. "architecture: expected a named one of sc.models, got 'resnet'",
      here(function() sc.load_checkpoint(path(), { architecture = "resnet" }) end))
    assert.equal(lead .. "architecture: expected a resnet, which the names are of, got 'vgg11'",
      here(function() sc.load_checkpoint(path(), { architecture = "vgg11" }) end))
    local message = here(function() sc.load_checkpoint(path(), { architecture = "resnet34" }) end)
    assert.equal(lead .. "taken for a resnet34: 80 missing: ", message:sub(1, #lead + 34))
  end)
end)

describe("a checkpoint's head", function()
  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  -- Logits of the old head where they should not change: what enters the head.
  local function features(model, x, head)
    local input = model.graph:node(head).inputs[1]
    local plan = model:execution_plan(x:size(1), { keep = { input } })
    plan:forward(x)
    return plan:value(input):totable()
  end

  it("is replaced where the classes differ, and that is said", function()
    for name, head in pairs { vgg_bn = "classifier.3", bottleneck = "fc", timm = "heads.head" } do
      local file = written(name)
      local old = load_checkpoint(file, options_of(name))
      local model, notes
      local text = said(function() model, notes = load_checkpoint(file, options_of(name, { classes = 7 })) end)
      assert.same({ ("replaced the head '%s' of 4 classes by a new one of 7"):format(head) }, notes)
      assert.equal(("load_checkpoint: '%s': %s\n"):format(file, notes[1]), text)
      assert.equal(7, model.class_count)
      local x = foreign.tensor("x/" .. networks[name].size)
      assert.same(features(old, x, head), features(model, x, head))
      assert.equal("", said(function()
        load_checkpoint(file, options_of(name, { classes = 7, quiet = true }))
        load_checkpoint(file, options_of(name, { classes = 4 }))
      end))
    end
  end)

  it("is refused where it would take more than there is", function()
    local file = written "basic"
    local message = errors.here(function() sc.load_checkpoint(file, { size = 32, classes = 1 << 46, quiet = true }) end)
    assert.is_truthy(message:find("classes: expected a head that fits into memory, got 70368744177664: linear 'fc': ",
      1, true), message)
    message = errors.here(function() sc.load_checkpoint(file, { classes = 1 << 46, quiet = true }) end)
    assert.is_truthy(message:find("classes: expected a head that fits into memory, got 70368744177664: linear 'fc': ",
      1, true), message)
  end)

  it("is drawn by its seed, as in a new model", function()
    local file = written "basic"
    local function weight(seed)
      local model = load_checkpoint(file, { size = 32, classes = 9, seed = seed, quiet = true })
      return model:state()["fc.weight"]:totable(), model
    end
    local first, model = weight(1)
    assert.same(first, (weight(1)))
    assert.are_not.same(first, (weight(2)))
    local fresh = require "secateur.models".resnet { block = "basic", stem = 4, planes = { 4, 6 }, blocks = { 1, 2 },
      classes = 9, size = 32, seed = 1 }
    assert.same(fresh:state()["fc.weight"]:totable(), first)
    assert.same(fresh:state()["fc.bias"]:totable(), model:state()["fc.bias"]:totable())
    local vit = load_checkpoint(written "vit", { heads = 2, classes = 3, quiet = true })
    assert.equal(0, vit:state()["heads.head.weight"]:abs():sum())
  end)

  it("is replaced in models of model:save as well", function()
    local all = families.all()
    all.vgg.info.classes = { "a", "b", "c" }
    all.vgg:save(path())
    local model, notes = load_checkpoint(path(), { classes = 5, quiet = true })
    assert.is_nil(model.info.classes)
    assert.same({ "a", "b", "c" }, load_checkpoint(path(), { quiet = true }).info.classes)
    assert.same({ "replaced the head 'classifier.3' of 3 classes by a new one of 5" }, notes)
    assert.equal(5, model.class_count)
    assert.is_true(model:state()["classifier.3.weight"]:abs():sum() > 0)
    all.vgg.info.classes = { "a", "b", "c" }
    all.vgg:save(path())
    assert.is_nil(load_checkpoint(path(), { classes = 5, quiet = true }).info.classes)
    assert.same({ "a", "b", "c" }, load_checkpoint(path(), { classes = 3, size = 17, quiet = true }).info.classes)
    all.custom:save(path())
    model = load_checkpoint(path(), { classes = 5, quiet = true })
    assert.same({ 5, 20 }, { model.class_count, model:state()["head.weight"]:size(2) })
    assert.is_true(model:state()["head.weight"]:abs():sum() > 0)
    local soft = require "secateur.models.custom" { input = { 3 }, build = function(net, x)
      return net:softmax("p", net:linear("l", x, { out = 3 }))
    end }
    soft:save(path())
    assert.equal(("load_checkpoint: '%s': classes: expected a model that ends with a linear layer of its own, got "
      .. "softmax 'p'"):format(path()), errors.here(function() sc.load_checkpoint(path(), { classes = 2 }) end))
    local tied = require "secateur.models.custom" { input = { 3 }, build = function(net, x)
      local shared = { weight = { name = "w" }, bias = { name = "b" } }
      return net:linear("l", net:linear("k", x, { out = 3 }, shared), { out = 3 }, shared)
    end }
    tied:save(path())
    assert.equal(("load_checkpoint: '%s': classes: expected a model that ends with a linear layer of its own, got "
      .. "linear 'l'"):format(path()), errors.here(function() sc.load_checkpoint(path(), { classes = 2 }) end))
  end)

  it("may stand where torchvision's ViTs have a Sequential of heads", function()
    local file = written("vit", function(own) return (own:gsub("^heads%.head%.", "heads.")) end)
    local model, notes = load_checkpoint(file, { heads = 2 })
    assert.same({}, notes)
    assert_logits("vit", model)
    file = written("vit", function(own) return (own:gsub("^heads%.head%.", "heads.1.")) end)
    model, notes = load_checkpoint(file, { heads = 2, quiet = true })
    assert.same({ "took the only layer of the head, 'heads.1', as the head" }, notes)
    assert_logits("vit", model)
    assert.equal(7, load_checkpoint(file, { heads = 2, classes = 7, quiet = true }).class_count)
  end)

  it("may be the only layer of a Sequential", function()
    for name, how in pairs { vgg = { "^classifier%.6%.", "classifier.6.1." }, basic = { "^fc%.", "fc.0." },
      vit = { "^heads%.head%.", "heads.head.2." }, timm = { "^head%.", "head.drop.fc." } } do
      local file = written(name, function(own) return (own:gsub(how[1], how[2])) end)
      local model, notes = load_checkpoint(file, options_of(name, { quiet = true }))
      assert_logits(name, model)
      assert.equal(1, #notes)
      assert.is_truthy(notes[1]:find "^took the only layer of the head, '.+', as the head$")
      assert.equal(2, load_checkpoint(file, options_of(name, { quiet = true, classes = 2 })).class_count)
    end
  end)

  it("of layers that do not fit, or none, is only replaced", function()
    local file = written("basic", nil, function(state)
      state["fc.0.weight"], state["fc.0.bias"], state["fc.2.weight"] = state["fc.weight"], state["fc.bias"],
        core.zeros(3, 5)
      state["fc.weight"], state["fc.bias"] = nil, nil
    end)
    local lead = ("load_checkpoint: '%s': "):format(file)
    assert.equal(lead .. "expected one linear layer as head 'fc', or several that follow one another, got "
      .. "'fc.0.bias', 'fc.0.weight', 'fc.2.weight'; classes = n puts a new one in its place",
      errors.here(function() sc.load_checkpoint(file, { size = 32 }) end))
    local model, notes = load_checkpoint(file, { size = 32, classes = 6, quiet = true })
    assert.same({ "replaced the layers of the head 'fc' by a new one of 6 classes" }, notes)
    assert.equal(6, model.class_count)
    assert.is_true(model:state()["fc.weight"]:abs():sum() > 0)
    file = written("timm", nil, function(state) state["head.weight"], state["head.bias"] = nil, nil end)
    lead = ("load_checkpoint: '%s': "):format(file)
    assert.equal(lead .. "expected a head 'heads.head', which is not there; classes = n puts a new one",
      errors.here(function() sc.load_checkpoint(file, { heads = 3 }) end))
    model, notes = load_checkpoint(file, { heads = 3, classes = 6, quiet = true })
    assert.same({ "put a new head 'heads.head' of 6 classes where there was none" }, notes)
    assert.equal(6, model.class_count)
  end)
end)

describe("a checkpoint's images", function()
  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  it("may have one channel: the first convolution is summed", function()
    for name in pairs(networks) do
      local model, notes = load_checkpoint(written(name), options_of(name, { channels = 1, quiet = true }))
      assert.equal(1, #notes)
      assert.is_truthy(notes[1]:find "^summed the weights of '[%w_.]+' over its 3 input channels$")
      local x = foreign.tensor("x/" .. networks[name].size)
      local side = x:size(3)
      local grey = core.zeros(2, 1, side, side)
      for i = 1, 2 do
        local row = x:view(i):reshape(3, side, side):view(1):reshape(1, 1, side, side)
        grey:view(i):copy(row:reshape(grey:view(i):shape()))
      end
      assert.is_true(foreign.error(model:forward(grey), foreign.tensor(name .. "/grey")) < 1e-5, name)
    end
    local file = written "basic"
    assert.equal(("load_checkpoint: '%s': channels: expected 1 or the 3 that the weights are for, got 4"):format(file),
      errors.here(function() sc.load_checkpoint(file, { size = 32, channels = 4 }) end))
  end)

  it("may have another size: a ViT's position embedding follows as timm's", function()
    local file = written "timm"
    for size, notes in pairs { [24] = "4 x 4 to 6 x 6", [12] = "4 x 4 to 3 x 3" } do
      local model, told = load_checkpoint(file, { heads = 3, size = size, quiet = true })
      assert.same({ ("interpolated the position embedding from %s patches"):format(notes) }, told)
      local x = foreign.tensor("x/" .. size)
      assert.is_true(foreign.error(model:forward(x), foreign.tensor("timm/" .. size)) < 1e-5)
    end
    assert.equal(("load_checkpoint: '%s': size: expected a multiple of the patch 4, got 13"):format(file),
      errors.here(function() sc.load_checkpoint(file, { heads = 3, size = 13 }) end))
    local basic = written "basic"
    assert.equal(("load_checkpoint: '%s': heads: expected none, the weights are of a resnet, which has no attention")
      :format(basic), errors.here(function() sc.load_checkpoint(basic, { heads = 2 }) end))
    assert.same({ 3, 224, 224 }, load_checkpoint(basic).input_shape)
    assert.same({ 3, 48, 48 }, load_checkpoint(basic, { size = 48 }).input_shape)
  end)

  it("may have no size or channel count that the model cannot take", function()
    local custom = require "secateur.models.custom"
    local fixed = custom { input = { 3, 4, 4 }, build = function(net, x)
      return net:linear("head", net:flatten("flat", net:relu("r", x)), { out = 2 })
    end }
    fixed:save(path())
    local lead = ("load_checkpoint: '%s': "):format(path())
    local message = errors.here(function() sc.load_checkpoint(path(), { size = 5 }) end)
    assert.equal(lead .. "size: expected one that the model's layers fit, got 5: 'head.weight': expected float32 of "
      .. "shape [2x75], got float32 of shape [2x48]", message)
    assert.equal(lead .. "channels: expected images to enter through plain convolutions, got relu 'r'",
      errors.here(function() sc.load_checkpoint(path(), { channels = 1 }) end))
    local file = written "vgg"
    message = errors.here(function() sc.load_checkpoint(file, { size = 1 }) end)
    assert.is_truthy(message:find("max_pool2d 'features.2': kernel: expected at most 1", 1, true))
  end)

  it("may change for a pruned model, which keeps its plan and its zeros", function()
    local prune = require "secateur.pruning.prune"
    local model = families.all().basic
    local pruned = prune(model, { ["layer1.0.conv1"] = { 1, 2 } })
    pruned:save(path())
    local changed = load_checkpoint(path(), { classes = 2, channels = 1, quiet = true })
    assert.same(pruned.plan["layer1.0.conv1"], changed.plan["layer1.0.conv1"])
    assert.equal(0, changed:state()["layer1.0.conv1.weight"]:view(1, 2):abs():sum())
  end)

  it("lose the normalisation of colours with the colours", function()
    local model = families.all().basic
    model.info.normalisation = { mean = { 1, 2, 3 }, std = { 1, 1, 1 } }
    model:save(path())
    local grey = load_checkpoint(path(), { channels = 1, quiet = true })
    assert.same({ architecture = "resnet" }, grey.info)
    assert.same({ 1, 2, 3 }, load_checkpoint(path(), { size = 48, quiet = true }).info.normalisation.mean)
  end)

  it("may change all at once, in models of model:save as well", function()
    local model = families.all().vit
    model:save(path())
    local changed, notes = load_checkpoint(path(), { classes = 5, size = 32, channels = 1, quiet = true })
    assert.same({ 1, 32, 32 }, changed.input_shape)
    assert.equal(5, changed.class_count)
    assert.equal(3, #notes)
    local state = changed:state()
    assert.same({ 1, 65, 8 }, state["encoder.pos_embedding"]:shape())
    assert.same({ 8, 1, 4, 4 }, state["conv_proj.weight"]:shape())
    assert.same({ 2, 5 }, changed:forward(core.randn(2, 1, 32, 32)):shape())
    local resized = load_checkpoint(path(), { size = 32, quiet = true })
    assert.same(model:state()["conv_proj.weight"]:totable(), resized:state()["conv_proj.weight"]:totable())
  end)
end)

describe("what is no checkpoint of a known architecture", function()
  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  it("is refused at the caller's line, with the file's name", function()
    local here = errors.here
    assert.equal("load_checkpoint: path: expected a string, got 3", here(function() sc.load_checkpoint(3) end))
    assert.equal("load_checkpoint: unknown option 'class', expected one of: architecture, channels, classes, crop, "
      .. "eps, gelu, head, head_activation, head_dropout, heads, interpolation, key, mean, pool, prefix, quiet, range, "
      .. "resize, seed, size, std, stem_pool, stem_stride, window",
      here(function() sc.load_checkpoint("x", { class = 2 }) end))
    local message = here(function() sc.load_checkpoint(path "none") end)
    assert.equal(1, (message:find(("load_checkpoint: '%s': "):format(path "none"), 1, true)))
    assert.is_nil(message:find("none.*none"))
    safetensors.save(path(), {})
    message = here(function() sc.load_checkpoint(path()) end)
    assert.is_truthy(message:find("expected weights of a known architecture, got no tensors; supported are", 1, true))
  end)

  it("is refused when it nearly fits", function()
    local file = written("resnext", nil, function(state)
      state["layer1.0.bn3.bias"], state["layer9.weight"] = nil, core.zeros(1)
    end)
    assert.equal(("load_checkpoint: '%s': taken for a resnet: 1 missing: layer1.0.bn3.bias; 1 unexpected: "
      .. "layer9.weight"):format(file), errors.here(function() sc.load_checkpoint(file) end))
    file = written("timm", nil, function(state) state["class_token"] = state["cls_token"] end)
    assert.equal(("load_checkpoint: '%s': 'class_token' and 'cls_token' name the same tensor"):format(file),
      errors.here(function() sc.load_checkpoint(file) end))
    file = written("vgg", nil, function(state) state["classifier.6.weight"] = core.zeros(28) end)
    assert.equal(("load_checkpoint: '%s': 'classifier.6.weight': expected 2 dimensions, got [28]"):format(file),
      errors.here(function() sc.load_checkpoint(file) end))
    file = written "timm"
    assert.equal(("load_checkpoint: '%s': the number of attention heads cannot be seen in the file, and 12 features "
      .. "are not a multiple of 64: give heads = n"):format(file), errors.here(function() sc.load_checkpoint(file) end))
    local message = errors.here(function() sc.load_checkpoint(file, { heads = 5 }) end)
    assert.is_truthy(message:find("heads: expected a divisor of 12 features, got 5", 1, true))
  end)

  it("is refused before it has asked for more memory than twice its size", function()
    local dim = 64000
    local state = { class_token = core.zeros(1, 1, dim), ["encoder.pos_embedding"] = core.zeros(1, 2, dim),
      ["conv_proj.weight"] = core.zeros(dim, 1, 1, 1), ["heads.head.weight"] = core.zeros(1, 1),
      ["encoder.layers.encoder_layer_0.mlp.0.weight"] = core.zeros(1, 1),
      ["encoder.layers.encoder_layer_0.ln_1.weight"] = core.zeros(1) }
    safetensors.save(path(), state)
    local asked = "weight: expected at most %d+ bytes, what is left for parameters, got %[192000x64000%]"
    assert.is_truthy(errors.here(function() sc.load_checkpoint(path()) end):find(asked))
    state["heads.head.weight"] = nil
    safetensors.save(path(), state)
    assert.is_truthy(errors.here(function() sc.load_checkpoint(path(), { classes = 3 }) end):find(asked))
  end)
end)
