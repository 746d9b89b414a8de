-- Examples on every kind of data and model file. The suite tries each kind with each example at least once;
-- SECATEUR_EXAMPLES=all tries all of them with all.
local example_files = require "support.example_files"
local files = require "secateur.util.files"
local sc = require "secateur"
local store = require "secateur.results.store"
local temporary = require "support.temporary"

local all = os.getenv "SECATEUR_EXAMPLES" == "all"

-- What must be there after a line ran.
local good = {
  -- from scratch, on every kind of data
  { "train.lua @/new/deep/a.safetensors --data @/folder --size 16 --epochs 1 --arch vgg",
    "new/deep/a.safetensors", "new/deep/a.svg" },
  { "train.lua @/b.safetensors --data @/tiny.npz --epochs 1 --arch vit --checkpoint @/new/c.safetensors",
    "b.safetensors", "new/c.safetensors" },
  { "train.lua @/c.safetensors --data @/table/images.csv --size 16 --channels 1 --epochs 1 --resize pad --seed 3 "
    .. "--micro-batch 4",
    "c.safetensors" },
  { "train.lua @/d.safetensors --data folder:@/grey --size 16 --epochs 1", "d.safetensors" },
  { "quickstart.lua --data @/tiny.npz --epochs 1 --seed 1 --out @/new/quick", "new/quick/index.html" },
  { "custom_scoring.lua --data @/folder --epochs 1 --per-class 2 --seeds 2 --out @/new/sc", "new/sc/index.html" },
  { "custom_sampling.lua --data @/folder --epochs 1 --per-class 2 --seeds 2 --out @/new/cs", "new/cs/index.html",
    "new/cs/picks.png" },
  { "custom_model.lua --data @/table/images.csv --epochs 1" },
  { "paper_table.lua --data X=@/tiny.npz --model small_vgg --epochs 1 --rates 0,0.3 --methods lrp --per-class 2 "
    .. "--store @/new/p/s.db --models-dir @/new/p/models --out @/new/p/report --metric balanced_accuracy,ece",
    "new/p/report/ece.tex" },
  { "plan_cluster.lua --models resnet18 --size 32 --images 1 --methods lrp --data a=20,10,2 --rates 0,0.5 --seeds 1 "
    .. "--ranks 1,4" },
  -- models of every kind, on every kind of data
  { "heatmaps.lua @/grey.safetensors --data @/grey --out @/new/h1 --methods lrp grad_cam", "new/h1/sample-sheet.png" },
  { "heatmaps.lua @/grey.safetensors --out @/new/h2 --methods lrp", "new/h2/sample-sheet.png" },
  { "heatmaps.lua @/state.pth --size 16 --classes effusion,normal --data @/folder --out @/new/h3 --methods lrp",
    "new/h3/sample-sheet.png" },
  { "faithfulness.lua @/grey.safetensors --data @/grey --per-class 1 --steps 4 --method lrp --csv @/new/f/m.csv",
    "new/f/m.csv" },
  { "faithfulness.lua @/state.safetensors --size 16 --data @/tiny.npz --per-class 1 --steps 4 --method lrp" },
  { "finetune.lua @/saved.safetensors --data @/tiny.npz --head-epochs 1 --epochs 1 --save @/new/ft/m.safetensors",
    "new/ft/m.safetensors" },
  { "finetune.lua @/inside.pth --key weights --prefix backbone. --size 16 --channels 1 --data @/table/images.csv "
    .. "--head-epochs 1 --epochs 1" },
  { "from_pytorch.lua @/state.pth @/new/onnx/p.onnx --size 16 --data @/table/images.csv --epochs 1",
    "new/onnx/p.onnx" },
  { "from_pytorch.lua @/inside.pth @/i.onnx --key weights --prefix backbone. --size 16 --data @/folder --epochs 1",
    "i.onnx" },
  { "smaller.lua @/state.safetensors --size 16 --data @/folder --calibration 16 --out @/new/s/small",
    "new/s/small.safetensors", "new/s/small.onnx" },
  { "smaller.lua @/grey.safetensors --data @/grey --macs 0.5 --repair none --out @/grey-small",
    "grey-small.safetensors" },
  { "predict.lua @/saved.safetensors @/grey/normal --csv @/new/p.csv", "new/p.csv" },
  { "predict.lua @/inside.pth @/folder/normal/2.png --key weights --prefix backbone. --size 16 --heatmaps lrp "
    .. "--dir @/new/why", "new/why/prediction-sheet.png" },
  { "predict.lua @/state.safetensors --size 16 --data @/tiny.npz --split val" },
  { "predict.lua @/state.pth --size 16 --classes a,b --heatmaps lrp,grad_cam --dir @/new/w2 @/folder @/grey/normal",
    "new/w2/prediction-1-lrp.png" },
  { "predict.lua '@/state.pth?size=16&mean=0.5&std=0.5&resize=pad' @/grey/normal --classes a,b" },
  -- one logit
  { "predict.lua @/one.pth --size 16 --data @/folder --threshold 0.4 --csv @/one.csv", "one.csv" },
  { "heatmaps.lua @/one.pth --size 16 --data @/folder --out @/new/h5 --methods lrp", "new/h5/sample-sheet.png" },
  { "finetune.lua @/one.pth --size 16 --data @/folder --head-epochs 1 --epochs 1" },
  { "finetune.lua @/one.pth --size 16 --data @/tiny.npz --head-epochs 0 --epochs 0" },
  { "smaller.lua @/one.pth --size 16 --data @/folder --calibration 16 --out @/one-small", "one-small.onnx" },
  -- several findings per image
  { "train.lua @/findings.safetensors --data @/findings.npz --channels 1 --epochs 1", "findings.safetensors" },
  { "heatmaps.lua @/findings.safetensors --data @/findings.npz --out @/new/h4 --methods lrp",
    "new/h4/sample-sheet.png" },
  { "finetune.lua @/findings.safetensors --data @/grey --head-epochs 1 --epochs 1" },
  { "finetune.lua @/grey.safetensors --data @/findings.npz --head-epochs 1 --epochs 1" },
  { "smaller.lua @/findings.safetensors --data @/findings.npz --calibration 16 --out @/findings-small",
    "findings-small.onnx" },
  { "predict.lua @/findings.safetensors @/grey/normal --threshold 0.4" },
}

-- What users do wrong ends with one line, before any work.
local wrong = {
  { "train.lua @/a.pth", "expected a name that ends in .safetensors" },
  { "train.lua @/folder/x.safetensors/ --data @/folder", "expected a file's name" },
  { "train.lua @/grey.safetensors/m.safetensors --data @/folder", "grey.safetensors" },
  { "train.lua @/x.safetensors --data @/none", "(there is none)" },
  { "quickstart.lua --out @/tiny.npz", "tiny.npz" },
  { "paper_table.lua --data X=@/none --store @/q.db --models-dir @/m --out @/o", "(there is none)" },
  { "heatmaps.lua @/none.safetensors", "No such file or directory" },
  { "heatmaps.lua @/tiny.npz", "tiny.npz" },
  { "faithfulness.lua @/saved.safetensors --csv @/folder", "expected a file to write, got a folder" },
  { "finetune.lua @/state.pth --size 16 --save @/folder", "output_file" },
  { "from_pytorch.lua @/state.pth @/x.onnx --size 16 --prefix none. --data @/folder", "load_checkpoint" },
  { "from_pytorch.lua @/inside.pth @/x.onnx --key weight --size 16 --data @/folder", "load_checkpoint" },
  { "smaller.lua @/state.pth --size 16 --data @/folder --out @/tiny.npz/small", "tiny.npz" },
  { "predict.lua @/saved.safetensors @/none.png", "No such file or directory" },
  { "predict.lua @/saved.safetensors @/tiny.npz", "tiny.npz" },
  { "predict.lua @/state.safetensors --size 16 --classes a,b,c @/folder", "expected 2 names" },
  { "heatmaps.lua @/state.safetensors --size 16 --classes a,b,c --data @/folder", "like: expected 2 names" },
  { "predict.lua @/state.safetensors?sise=16 @/folder", "did you mean 'size'" },
  { "faithfulness.lua @/findings.safetensors --data @/grey", "there is no class" },
  { "custom_model.lua --data @/saved.safetensors", "open" },
}

-- What argparse refuses.
local mistyped = {
  { "predict.lua @/saved.safetensors", "expected images, or --data" },
  { "finetune.lua @/saved.safetensors --rate 50", "expected a share in [0, 1), got 50" },
  { "finetune.lua @/saved.safetensors --epochs=-1", "expected a whole number of at least 0, got -1" },
  { "custom_model.lua --rate 1", "expected a share in [0, 1), got 1" },
  { "train.lua --epochs x", "malformed argument 'x'" },
  { "paper_table.lua --data folder", "--data wants NAME=PATH, got folder" },
}

describe("examples", function()
  local root

  setup(function()
    root = temporary.folder()
    example_files.write(root)
  end)
  teardown(function() assert(files.remove(root)) end)

  local function run(line, ...)
    local text, status = example_files.run(root, line)
    assert.equal(0, status, line .. "\n" .. text)
    for _, path in ipairs { ... } do assert.is_true(files.is_file(files.join(root, path)), line .. ": " .. path) end
    return text
  end

  it("answer --help", function()
    for _, name in ipairs(files.list "examples") do
      if name:find "%.lua$" then
        assert.matches("^Usage: " .. name:gsub("%p", "%%%0"), run(name .. " --help"))
      end
    end
  end)

  for _, case in ipairs(good) do
    it("run: " .. case[1]:gsub("@/", ""), function() run(table.unpack(case)) end)
  end

  it("end with a line where their user is wrong", function()
    for _, case in ipairs(wrong) do
      local text, status = example_files.run(root, case[1])
      assert.equal(1, status, case[1] .. "\n" .. text)
      local said = text:gsub("load_checkpoint: '[^\n]*\n", "", text:find "^load_checkpoint: " and 1 or 0)
      assert.matches("^[^\n]*%.lua:%d+: [^\n]+\n$", said)
      assert.is_truthy(text:find(case[2], 1, true), case[1] .. "\n" .. text)
    end
    assert.is_nil(files.list(root .. "/o") and files.list(root .. "/o")[1])
  end)

  it("say how they are used where their user mistypes", function()
    for _, case in ipairs(mistyped) do
      local text, status = example_files.run(root, case[1])
      assert.not_equal(0, status)
      assert.matches("^Usage: ", text)
      assert.is_truthy(text:find("\nError: [^\n]*" .. case[2]:gsub("%p", "%%%0") .. "\n$"), case[1] .. "\n" .. text)
    end
  end)

  it("take a model of earlier data or options for what it is, and leave it", function()
    local line = "paper_table.lua --data X=@/%s --size 16 --model small_vgg --epochs %d --rates 0 --methods lrp "
      .. "--per-class 2 --store @/again/%d.db --models-dir @/again/models --out @/again/report"
    local function kept() return files.list(root .. "/again/models") end
    run(line:format("folder", 1, 1))
    local first = kept()
    assert.equal(1, #first)
    local file = root .. "/again/models/" .. first[1]
    local bytes = files.read_all(file)
    assert.equal(first[1], ("X-small_vgg-%s.safetensors"):format(sc.load(file).info.trained:sub(1, 8)))
    run(line:format("folder", 1, 2))
    assert.same(first, kept())
    run(line:format("folder", 2, 3))
    assert.equal(2, #kept())
    run(line:format("tiny.npz", 2, 4))
    assert.equal(3, #kept())
    assert.equal(bytes, files.read_all(file))
    run(line:format("tiny.npz", 1, 4)) -- the rows of another model go beside those that are there
    assert.equal(4, #kept())
    assert.equal(6, #assert(store.read(root .. "/again/4.db")).rows)
    run((line:format("tiny.npz", 2, 4):gsub("%-%-rates 0", "%0,0.3")))
    assert.equal(9, #assert(store.read(root .. "/again/4.db")).rows)
    -- a file that was put there under that name
    local other = sc.load(file)
    other.info.trained = "0123456789abcdef"
    other:save(file)
    assert.matches("has learned something else: trained anew", run(line:format("folder", 1, 5)))
  end)

  it("make a model smaller, and say what it was and is", function()
    local text = run "smaller.lua @/grey.safetensors --data @/grey --rate 0.6 --calibration 24 --out @/small"
    assert.matches("before +after +share", text)
    assert.matches("%% of the %d+ test images are decided as before", text)
    local small, model = sc.load(root .. "/small.safetensors"), sc.load(root .. "/grey.safetensors")
    local cost, dense = sc.cost(small, { latency = false }), sc.cost(model, { latency = false })
    assert.is_true(cost.macs < dense.macs and cost.parameters < dense.parameters and cost.bytes < dense.bytes)
    assert.is_true(sc.cost(sc.load(root .. "/grey-small.safetensors"), { latency = false }).macs <= 0.5 * dense.macs)
  end)

  if not all then return end

  local data = { "@/folder", "@/grey", "@/tiny.npz", "@/table/images.csv", "folder:@/table" }
  local models = { "@/saved.safetensors", "@/grey.safetensors",
    "@/state.safetensors --size 16 --classes effusion,normal",
    "@/state.pth --size 16 --classes effusion,normal", "@/one.pth --size 16 --classes effusion,normal",
    "@/inside.pth --size 16 --key weights --prefix backbone. --classes effusion,normal" }
  local scripts = { "heatmaps.lua %s --data %s --methods lrp --out @/all",
    "faithfulness.lua %s --data %s --per-class 1 --steps 2 --method lrp",
    "finetune.lua %s --data %s --head-epochs 1 --epochs 1",
    "from_pytorch.lua %s --data %s --epochs 1 --onnx @/all.onnx",
    "smaller.lua %s --data %s --calibration 16 --out @/all", "predict.lua %s --data %s" }
  for _, script in ipairs(scripts) do
    for _, model in ipairs(models) do
      for _, set in ipairs(data) do
        local line = script:format(model, set)
        if line:find "^finetune" then line = line:gsub(" %-%-classes effusion,normal", "") end
        line = line:gsub("^(from_pytorch.lua %S+)(.*) %-%-onnx (%S+)$", "%1 %3%2")
        it("run: " .. line:gsub("@/", ""), function() run(line) end)
      end
    end
  end
end)
