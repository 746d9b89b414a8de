-- A training on images with several findings beside the same in PyTorch: same images, initial weights and batches.
--
--     make bench BENCH=spec/bench/multi_label.lua PYTHON=/path/to/python-with-torch-and-safetensors
--
-- Options through the environment: COUNT (2000 phantoms), SIZE (48), EPOCHS (6), BATCH (32), SEED (1), PREVALENCE
-- ("0.15 0.3 0.5"; of nodule, effusion, opacity), PYTHON (none: Secateur alone). BCEWithLogitsLoss with balanced
-- pos_weight, Adam at 1e-3, no augmentation. It prints by how much the losses of an epoch's steps differ at most, and
-- AUROCs of validation by epoch and of the test images by finding. The first epoch shows whether both compute the same;
-- later, rounding grows: PyTorch in float differs as much from PyTorch in double.
local bench = require "support.bench"
local core = require "secateur.core"
local files = require "secateur.util.files"
local json = require "secateur.util.json"
local predict = require "secateur.evaluation.predict"
local safetensors = require "secateur.formats.safetensors"
local sc = require "secateur"
local selection = require "secateur.training.selection"
local temporary = require "support.temporary"

local epochs, batch, seed = bench.setting("EPOCHS", 6), bench.setting("BATCH", 32), bench.setting("SEED", 1)
local size = bench.setting("SIZE", 48)
local data = sc.data.phantom { multi_label = true, count = bench.setting("COUNT", 2000), size = size, channels = 1,
  seed = seed, prevalence = bench.words(bench.setting("PREVALENCE", "0.15 0.3 0.5")), quiet = true }
local model = sc.models.vgg { config = { 16, "M", 32, "M", 64, "M" }, hidden = { 64 }, pool = 2, batch_norm = true,
  dropout = 0, size = size, channels = 1, classes = #data.classes, head = "sigmoid", seed = seed }
print(data)

-- What the other side needs.
local tensors = {}
for name, tensor in pairs(model:state()) do tensors["weight/" .. name] = tensor:clone() end
for _, name in ipairs { "train", "val", "test" } do
  local all = {}
  for i = 1, data[name]:count() do all[i] = i end
  tensors[name .. "/images"], tensors[name .. "/targets"] = data[name]:batch(all)
end
for epoch = 1, epochs do
  tensors["order/" .. epoch] = core.tensor(core.permutation(data.train:count(), core.mix(seed, epoch)), "int64")
end

-- Every loss that the training computes, in order: those of an epoch's steps, then that of validation.
local losses, real = {}, core.binary_cross_entropy
core.binary_cross_entropy = function(...)
  local loss, gradient = real(...)
  losses[#losses + 1] = loss
  return loss, gradient
end
local start = core.clock()
local history = sc.train(model, data, { epochs = epochs, batch = batch, seed = seed, augment = false, quiet = true,
  schedule = "constant", pos_weight = "balanced", select = "last" })
local seconds = core.clock() - start
core.binary_cross_entropy = real
print(history)

local run = predict.run(model, data.test, { batch = 64 })
local by_finding = {}
for k in ipairs(data.classes) do
  local column, targets = {}, {}
  for i, row in ipairs(run.logits:totable()) do column[i] = { row[k] } end
  for i, row in ipairs(run.labels:totable()) do targets[i] = { row[k] } end
  by_finding[k] = selection.auroc("findings", core.tensor(column), core.tensor(targets))
end

local peer
if os.getenv "PYTHON" then
  local folder = temporary.folder()
  safetensors.save(folder .. "/task.safetensors", tensors)
  peer = json.decode(bench.run({ os.getenv "PYTHON", "spec/bench/peer_multi_label.py", folder .. "/task.safetensors",
    epochs, batch }, core.threads()))
  files.remove(folder)
end

local function beside(name, own, other)
  print(("%-24s %10.4f %10s"):format(name, own, other and ("%.4f"):format(other) or "-"))
end

print(("%-24s %10s %10s"):format("", "Secateur", "PyTorch"))
for epoch, row in ipairs(history) do
  beside(("epoch %d: train loss"):format(epoch), row.train_loss, peer and peer.train_loss[epoch])
  beside("  validation AUROC", row.val_auroc, peer and peer.val_auroc[epoch])
end
for k, name in ipairs(data.classes) do
  beside("test AUROC " .. name, by_finding[k], peer and peer.test_auroc[k])
end
beside("seconds", seconds, peer and peer.seconds)
if peer then
  local steps, worst = (data.train:count() + batch - 1) // batch + 1, {}
  for i, loss in ipairs(losses) do
    local epoch = (i - 1) // steps + 1
    worst[epoch] = math.max(worst[epoch] or 0, math.abs(loss - peer.losses[i]))
  end
  for epoch, difference in ipairs(worst) do
    print(("epoch %d: losses of %d steps differ by at most %.2g"):format(epoch, steps - 1, difference))
  end
end
