-- Heads and names that are not torchvision's, against PyTorch's logits (spec/fixtures/make_variants.py).
local core = require "secateur.core"
local errors = require "support.errors"
local files = require "secateur.util.files"
local fixtures = require "support.foreign"
local safetensors = require "secateur.formats.safetensors"
local sc = require "secateur"
local temporary = require "support.temporary"

local all = safetensors.load "spec/fixtures/foreign/variants.safetensors"
local folder

local function state(name, rename) return fixtures.state(name, rename, all) end

local function written(tensors)
  local path = files.join(folder, "weights.safetensors")
  safetensors.save(path, tensors)
  return path
end

local function load(tensors, opts)
  local given = { quiet = true }
  for key, value in pairs(opts or {}) do given[key] = value end
  return sc.load_checkpoint(written(tensors), given)
end

local function difference(name, model)
  local expected = all[name .. "/logits"]
  local got = model:forward(all["x/" .. model.input_shape[2]])
  assert.same(expected:shape(), got:shape(), name)
  return (got - expected):abs():reshape(-1):max() / expected:abs():reshape(-1):max()
end

local function refusal(path, opts)
  return errors.here(function() sc.load_checkpoint(path, opts) end)
end

local function has(notes, text)
  for _, note in ipairs(notes) do
    if note:find(text, 1, true) then return true end
  end
  return false
end

-- Options, and the text of a note that must be there.
local networks = {
  relu = { { size = 32 }, "took the head 'fc' as linear '1', relu, linear '4' (head_activation, head_dropout, which" },
  tanh = { { size = 32, head_activation = "tanh" }, "'fc' as linear '0', batch norm '1', tanh, linear '4'" },
  three = { { size = 32 }, "'fc' as linear '0', relu, linear '2', layer norm '3', relu, linear '5'" },
  one = { { size = 32 }, "took the head of one logit as a sigmoid, that of the second of two classes" },
  small = { { size = 16 }, "took the stem of 3 x 3 as one of stride 1 (stem_stride) without a max pool (stem_pool)" },
  small_deep = { { size = 16 }, "took the stem of 3 x 3 as one of stride 1" },
  stem = { { size = 16 }, "took the stem of 3 x 3 as one of stride 1" },
  radimagenet = { { size = 32 }, "took the network behind 'backbone.'" },
  fastai = { { size = 32 }, "took the 12 features of 6 channels as their maxima followed by their means" },
  wrapped = { { size = 32 }, "took the head 'head' as linear '0', relu, linear '2'" },
  layers = { { size = 32 }, "took the head 'fc' as linear 'fc1', batch norm 'bn1', relu, linear 'fc2'" },
  vgg_one = { { size = 16 }, "torchvision's weights expect ImageNet's mean and std" },
  vgg_global = { { size = 16 }, "torchvision's weights expect ImageNet's mean and std" },
  vgg_norm = { { size = 16 }, "'classifier' as linear '0', batch norm '1', relu, linear '4', batch norm '5', relu, " },
  vgg_last = { { size = 16 }, "took the head 'classifier.3' as linear '0', relu, linear '3'" },
  hf_basic = { { size = 32 }, "took the network behind 'resnet.'" },
  hf_bottleneck = { { size = 32 }, "took the only layer of the head, 'classifier.1', as the head" },
  hf_vit = { { heads = 3 }, "took the epsilon of norms as 1e-12, as Hugging Face has it (eps)" },
  hf_file = { { heads = 3 }, "Hugging Face's ViTs expect mean = 0.5 and std = 0.5" },
  vit_wrapped = { { heads = 2 }, "took the network behind 'vit.'" },
  vit_heads = { { heads = 2, head_activation = "gelu" }, "took the head 'heads' as linear '0', gelu, linear '2'" },
  timm_wrapped = { { heads = 3 }, "timm's ViTs of augreg, and most others, expect mean = 0.5 and std = 0.5" },
}

describe("another head, or another naming", function()
  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  for name, case in pairs(networks) do
    it(("(%s) becomes a model with PyTorch's logits, and says what it took for granted"):format(name), function()
      local model, notes = load(state(name), case[1])
      assert.is_true(difference(name, model) < 1e-5)
      assert.is_true(has(notes, case[2]), table.concat(notes, "\n"))
      local path = files.join(folder, "own.safetensors")
      model:save(path)
      assert.same(model:forward(all["x/" .. model.input_shape[2]]):totable(),
        sc.load(path):forward(all["x/" .. model.input_shape[2]]):totable())
    end)
  end

  it("has a fixture for each network, and in it images that differ", function()
    for key, logits in pairs(all) do
      local name = key:match "^([^/]+)/logits$"
      if name then
        assert.is_not_nil(networks[name], name)
        local apart = (logits:view(1) - logits:view(2)):abs():reshape(-1):max()
        assert.is_true(apart > 0.01 * logits:abs():reshape(-1):max())
      end
    end
  end)

  it("works under a framework's wrappers too", function()
    for _, name in ipairs { "radimagenet", "wrapped", "hf_file" } do
      local model = load(state(name, function(own) return "module." .. own end), networks[name][1])
      assert.is_true(difference(name, model) < 1e-5, name)
    end
  end)
end)

describe("a VGG", function()
  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  it("has convolutions for linear layers under timm's names", function()
    local tensors = {}
    local names = { ["classifier.0."] = "pre_logits.fc1.", ["classifier.3."] = "pre_logits.fc2.",
      ["classifier.6."] = "head.fc." }
    local lead = "vgg/state/"
    for key, tensor in pairs(safetensors.load "spec/fixtures/foreign/networks.safetensors") do
      if key:sub(1, #lead) == lead then
        local own = key:sub(#lead + 1):gsub("^classifier%.%d%.", names)
        if own == "pre_logits.fc1.weight" then tensor = tensor:reshape(tensor:size(1), tensor:size(2) // 4, 2, 2) end
        if own == "pre_logits.fc2.weight" then tensor = tensor:reshape(tensor:size(1), tensor:size(2), 1, 1) end
        tensors[own] = tensor
      end
    end
    local model, notes = load(tensors, { size = 16 })
    assert.is_true(fixtures.error(model:forward(fixtures.tensor "x/16"), fixtures.tensor "vgg/logits") < 1e-5)
    assert.is_true(has(notes, "took the convolution 'pre_logits.fc1' of 2 x 2 as a linear layer"))
  end)

  it("of features alone gets a head on the mean of each map", function()
    local tensors = state "vgg_global"
    tensors["classifier.weight"], tensors["classifier.bias"] = nil, nil
    local model, notes = load(tensors, { size = 16, classes = 3 })
    assert.is_true(has(notes, "took the mean of each of the last maps"))
    assert.is_true(has(notes, "put a new head 'classifier' of 3 classes where there was none"))
    assert.same({ 3, 6 }, model:state()["classifier.weight"]:shape())
    assert.is_true(model:state()["classifier.weight"]:abs():sum() > 0)
    local message = refusal(written(tensors), { size = 16 })
    assert.is_truthy(message:find("expected a head 'classifier', which is not there", 1, true))
  end)
end)

describe("what a file does not tell of a head", function()
  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  it("is an option: which activation, and where", function()
    local wrong = load(state "tanh", { size = 32 })
    assert.is_true(difference("tanh", wrong) > 1e-3)
    local named = load(state "tanh", { size = 32, head_activation = { ["fc.2"] = "tanh" } })
    assert.is_true(difference("tanh", named) < 1e-5)
    local path = written(state "tanh")
    assert.equal(("load_checkpoint: '%s': head_activation: expected names between the layers of the head 'fc', got "
      .. "'fc.9'"):format(path), refusal(path, { size = 32, head_activation = { ["fc.9"] = "tanh" } }))
    assert.equal("load_checkpoint: head_activation: expected one of 'relu', 'gelu', 'silu', 'tanh', 'sigmoid', 'none', "
      .. "or a table of names in the file -> one of these, got 'elu'",
      refusal("x", { head_activation = "elu" }))
    path = written(state "small")
    assert.equal(("load_checkpoint: '%s': head_activation: expected none, the head is one linear layer"):format(path),
      refusal(path, { size = 16, head_activation = "tanh" }))
    local none = load(state "relu", { size = 32, head_activation = "none", head_dropout = 0 })
    assert.is_nil(none.graph:node "fc.2")
    local dropped = load(state "relu", { size = 32, head_dropout = 0.5 })
    assert.equal("dropout", dropped.graph:node("fc.2.dropout").op)
    assert.is_true(difference("relu", dropped) < 1e-5)
  end)

  it("is an option: pooling, also for other sizes of images", function()
    local maximum = load(state "stem", { size = 16, pool = "max" })
    assert.is_true(difference("stem", maximum) > 1e-3)
    local other = load(state "fastai", { size = 32, pool = "avg_max" })
    assert.is_true(difference("fastai", other) > 1e-3)
    assert.is_truthy(refusal(written(state "stem"), { size = 16, pool = "max_avg" }):find(
      "pool: expected 'avg' or 'max', since the head reads 6 features of 6 channels, got 'max_avg'", 1, true))
    local path = files.join(folder, "own.safetensors")
    load(state "fastai", { size = 32 }):save(path)
    local larger = sc.load_checkpoint(path, { size = 64, quiet = true })
    local fresh = load(state "fastai", { size = 64 })
    local x = core.randn(2, 3, 64, 64, { seed = 3 })
    assert.same(fresh:forward(x):totable(), larger:forward(x):totable())
  end)

  it("is an option: the epsilon of norms and the kind of GELU", function()
    local model = load(state "hf_vit", { heads = 3, eps = 1e-6, gelu = "tanh" })
    assert.equal("tanh", model.graph:node("encoder.layers.encoder_layer_0.mlp.1").attrs.approximation)
    assert.equal(1e-6, model.graph:node("encoder.ln").attrs.eps)
    assert.equal(1e-3, load(state "small", { size = 16, eps = 1e-3 }).graph:node("bn1").attrs.eps)
    assert.is_truthy(refusal(written(state "small"), { size = 16, gelu = "tanh" }):find(
      "gelu: expected none, the weights are of a resnet", 1, true))
  end)

  it("is an option: stride and pool of a small stem", function()
    local model = load(state "stem", { size = 64, stem_stride = 2, stem_pool = true })
    assert.same({ 4, 32, 32 }, model.graph:node("relu").shape)
    assert.same({ 4, 16, 16 }, model.graph:node("maxpool").shape)
    assert.same({ 3, 32, 32 }, load(state "stem").input_shape)
    -- children of a network without ReLU's and the pool's places
    local places = { ["0"] = "0", ["1"] = "1", ["4"] = "2", ["5"] = "3" }
    local pooled, notes = load(state("radimagenet", function(own)
      return (own:gsub("^backbone%.(%d)", function(child) return "backbone." .. places[child] end))
    end), { size = 32 })
    assert.is_nil(pooled.graph:node "maxpool")
    assert.is_true(has(notes, "took the stem as one without a max pool (stem_pool)"))
  end)
end)

describe("a choice among heads", function()
  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  local function two()
    local tensors = state "radimagenet"
    tensors["projector.weight"], tensors["projector.bias"] = core.ones(3, 6), core.zeros(3)
    return tensors
  end

  it("is asked for, and then made by head", function()
    local path = written(two())
    assert.equal(("load_checkpoint: '%s': expected one head, got 2: 'classifier', 'projector'; choose one of them with "
      .. "head"):format(path), refusal(path, { size = 32 }))
    local model, notes = load(two(), { size = 32, head = "classifier" })
    assert.is_true(difference("radimagenet", model) < 1e-5)
    assert.is_true(has(notes, "left out 'projector', another head"))
    assert.equal(3, load(two(), { size = 32, head = "projector" }).output_count)
    model = load(two(), { size = 32, head = { "projector", "sigmoid" } })
    assert.equal("sigmoid", model.head)
    assert.equal(3, model.class_count)
    assert.is_truthy(refusal(path, { head = "neck" }):find("head: expected "
      .. "'softmax', 'sigmoid' or what a name in the file begins with, got 'neck'; there could be 'classifier', "
      .. "'projector'", 1, true))
    assert.equal("load_checkpoint: head: expected 'softmax' or 'sigmoid', what the head's names in the file begin "
      .. "with, or a list of both", refusal(path, { head = { "a", "b" } }))
  end)
end)

describe("sigmoid heads in checkpoints", function()
  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  it("of one logit are of two classes", function()
    for _, opts in ipairs { {}, { head = "sigmoid" }, { classes = 2 }, { classes = { "no", "yes" } } } do
      opts.size = 32
      local model = load(state "one", opts)
      assert.same({ "sigmoid", 1, 2 }, { model.head, model.output_count, model.class_count })
      assert.is_true(difference("one", model) < 1e-5)
      if type(opts.classes) == "table" then assert.same({ "no", "yes" }, model.classes) end
      local path = files.join(folder, "own.safetensors")
      model:save(path)
      local back = sc.load_checkpoint(path, { classes = 2, quiet = true })
      assert.same({ "sigmoid", 1, 2 }, { back.head, back.output_count, back.class_count })
      back = sc.load_checkpoint(path, { classes = 3, quiet = true })
      assert.same({ "softmax", 3 }, { back.head, back.output_count })
    end
    local model = load(state "one", { size = 32, classes = 2, head = "softmax" })
    assert.same({ "softmax", 2 }, { model.head, model.output_count })
    assert.is_truthy(refusal(written(state "one"), { size = 32, head = "softmax" }):find(
      "head: expected 'sigmoid' for a head of one logit, got 'softmax'; classes = n puts a new one", 1, true))
  end)

  it("of several are of as many findings, where it is said", function()
    local names = { "a", "b", "c", "d" }
    local model = load(state "relu", { size = 32, head = "sigmoid", classes = names })
    assert.same({ "sigmoid", 4, 4 }, { model.head, model.output_count, model.class_count })
    assert.same(names, model.classes)
    assert.is_true(difference("relu", model) < 1e-5)
    model = load(state "small", { size = 16, head = "sigmoid", classes = 2 })
    assert.same({ "sigmoid", 2, 2 }, { model.head, model.output_count, model.class_count })
    assert.equal("load_checkpoint: classes: expected names, got 3 at 2",
      refusal("x", { classes = { "a", 3 } }))
  end)
end)

describe("how images were prepared", function()
  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  it("is kept where it is said, and guessed in a note where not", function()
    local model, notes = load(state "timm_wrapped", { heads = 3, mean = 0.5, std = { 0.5, 0.25, 0.5 }, resize = 20,
      crop = 16 })
    assert.is_false(has(notes, "prepared"))
    assert.equal("the epsilon of norms (1e-06: eps), the kind of GELU (exact: gelu), what makes probabilities of its "
      .. "logits (softmax: head), the names of its classes (in the order of its outputs: classes) are not in the file",
      notes[#notes])
    notes = select(2, load(state "timm_wrapped", { heads = 3, mean = 0.5, std = 0.5, eps = 1e-6, gelu = "none",
      head = "softmax", classes = { "a", "b", "c" } }))
    assert.is_false(has(notes, "not in the file"))
    local known = model:preparation()
    assert.same({ 0.5, 0.5, 0.5 }, known.mean)
    assert.same({ 0.5, 0.25, 0.5 }, known.std)
    assert.same({ 20, 16, 16 }, { known.resize, known.crop, known.size })
    model, notes = load(state "timm_wrapped", { heads = 3 })
    assert.is_nil(model:preparation().mean)
    assert.is_true(has(notes, "how its images were prepared is not in the file: timm's ViTs of augreg"))
    assert.equal("load_checkpoint: crop: expected the size 32, which a crop gives, got 16",
      refusal("x", { size = 32, crop = 16 }))
    local path = written(state "small")
    local lead = ("load_checkpoint: '%s': "):format(path)
    assert.equal(lead .. "std: missing beside mean", refusal(path, { size = 16, mean = 0.5 }))
    assert.equal(lead .. "std: expected 3 numbers, got 1", refusal(path, { size = 16, mean = 0.5, std = { 1 } }))
  end)
end)

describe("options of a checkpoint", function()
  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  it("may stand behind its path", function()
    local path = written(state "timm_wrapped")
    local model = sc.load_checkpoint(path .. "?heads=3&mean=0.5&std=0.5,0.25,0.5&head=sigmoid&classes=a,b,c&quiet=true",
      { heads = 1 })
    assert.same({ 0.5, 0.25, 0.5 }, model:preparation().std)
    assert.same({ "sigmoid", "a,b,c" }, { model.head, table.concat(model.classes, ",") })
    assert.equal(5, sc.load_checkpoint(path .. "?heads=3&classes=5&quiet=true").class_count)
    assert.matches("^load_checkpoint: unknown option 'hads'", refusal(path .. "?hads=3"))
    assert.equal("load_checkpoint: path: expected options as key=value with & between them, got 'x'",
      refusal(path .. "?heads=3&x"))
  end)

  it("are named alone where a prefix would not help", function()
    local path = written(state("timm_wrapped", function(name) return "net." .. name end))
    assert.matches("not a multiple of 64: give heads = n$", refusal(path))
  end)
end)

describe("a file", function()
  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  it("of weights that are not finite is told so, by the first name", function()
    local tensors = state "timm_wrapped"
    local names = {}
    for name in pairs(tensors) do
      if name:find "blocks%.0%.mlp%.fc%d%.weight$" then names[#names + 1] = name end
    end
    table.sort(names)
    for i, name in ipairs(names) do
      local changed = tensors[name]:clone()
      changed:view(1, 1):fill(i == 1 and math.huge or 0 / 0)
      tensors[name] = changed
    end
    local _, notes = load(tensors, { heads = 3 })
    assert.equal(2, #names)
    assert.is_true(has(notes, ("NaN or infinity in '%s' and 1 more: what it computes will be, too"):format(names[1])))
    assert.is_false(has(select(2, load(state "timm_wrapped", { heads = 3 })), "NaN"))
  end)
end)

describe("models with other heads", function()
  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  it("are pruned, compacted and trained like others", function()
    local data = sc.data.phantom { size = 32, channels = 3, count = 60, seed = 1 }
    for name, hidden in pairs { fastai = "fc.4", tanh = "fc.0" } do
      local opts = { classes = data.classes }
      for key, value in pairs(networks[name][1]) do opts[key] = value end
      local model = load(state(name), opts)
      local scores = sc.importance(model, data.train, { method = "lrp", per_class = 1 })
      local pruned = sc.prune(model, scores, { rate = 0.4, calibration = data.train })
      local small, x = sc.compact(pruned), all["x/32"]
      assert.is_true((small:forward(x) - pruned:forward(x)):abs():reshape(-1):max() < 1e-5)
      assert.is_true(small.graph:node(hidden).attrs.out < 5, name)
      local norm = name == "tanh" and "fc.1.running_mean" or "fc.6.running_mean"
      local before = model:state()[norm]:totable()
      sc.train(model, data, { epochs = 1, batch = 8, quiet = true })
      assert.are_not.same(before, model:state()[norm]:totable())
    end
  end)

  it("are written for others, and read again", function()
    for _, name in ipairs { "fastai", "vgg_norm", "layers", "hf_file" } do
      local model = load(state(name), networks[name][1])
      local path = files.join(folder, "state.safetensors")
      model:export_state(path)
      local opts = { quiet = true, heads = networks[name][1].heads, size = networks[name][1].size }
      if name == "hf_file" then opts.eps = 1e-12 end
      local back = sc.load_checkpoint(path, opts)
      assert.is_true(difference(name, back) < 1e-5, name)
    end
  end)
end)
