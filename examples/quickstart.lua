-- The whole story on one page: train a classifier, find out which neurons its predictions rest on, remove the others
-- step by step, and see what that costs. Without --data it runs on procedural chest X-rays.
local argparse = require "argparse"
local sc = require "secateur"

local function whole(text) return math.tointeger(tonumber(text) or 0.5) end

local parser = argparse("quickstart.lua", "Train, explain, prune and report in one go.")
parser:option("--data", "a folder of images (class per folder) or a MedMNIST .npz; phantoms if not given")
parser:option("--out", "where the report goes", "report")
parser:option("--size", "side of the images in pixels", 64):convert(whole)
parser:option("--epochs", "epochs of training", 12):convert(whole)
parser:option("--seed", "seed of everything random", 0):convert(whole)
local args = parser:parse()

local data
local augment = true -- the paper's recipe
if not args.data then
  data = sc.data.phantom { size = args.size, count = 600, seed = args.seed }
  augment = { hflip = 0.5, scale = { 0.9, 1 }, brightness = 0.2, contrast = 0.2 } -- phantoms all stand upright
elseif args.data:find("%.npz$") then
  data = sc.data.medmnist(args.data)
else
  data = sc.data.folder(args.data, { size = args.size, seed = args.seed })
end
print(data)

local model = sc.models.vgg { config = { 16, 16, "M", 32, 32, "M", 64, 64, "M" }, hidden = { 64 }, pool = 4,
  batch_norm = true, size = data.size, channels = data.channels, classes = #data.classes, seed = args.seed }
print(model)
local history = sc.train(model, data, { epochs = args.epochs, augment = augment, seed = args.seed })
print(sc.evaluate(model, data.test))

local results = sc.sweep { model = model, data = data, methods = { "lrp", "dlb", "ig" },
  sampling = { "clustering", "confidence", "random" }, rates = { 0, 0.15, 0.3, 0.5, 0.7 }, seed = args.seed }
print(results)

local heatmaps = sc.heatmaps(model, data.test, { dir = args.out .. "/heatmaps" })
print("Open " .. sc.report(results, args.out, { title = "Quick start", heatmaps = heatmaps, history = history }))
