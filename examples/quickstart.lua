-- The whole story on one page: train a classifier, find out which neurons its predictions rest on, remove the others
-- step by step, and see what that costs. Without --data it runs on procedural chest X-rays.
local argparse = require "argparse"
local sc = require "secateur"

local function whole(text) return math.tointeger(tonumber(text) or 0.5) end

local parser = argparse("quickstart.lua", "Train, explain, prune and report in one go.")
parser:option("--data", "a folder of images (class per folder), a MedMNIST .npz, a .csv of files and labels, or "
  .. "KIND:PATH such as cpn:folder; phantoms if not given")
parser:option("--out", "where the report goes", "report")
parser:option("--size", "side of the images in pixels; 64 if not given (.npz: as stored)"):convert(whole)
parser:option("--channels", "of the images, 1 or 3", "3"):convert(whole)
parser:option("--epochs", "epochs of training", "12"):convert(whole)
parser:option("--seed", "seed of everything random", "0"):convert(whole)
local args = parser:parse()

sc.main(function()
  sc.report.check()
  local out = sc.output_folder(args.out)
  local read = { size = args.size, channels = args.channels, seed = args.seed }
  if not args.size and not (args.data or ""):find("%.npz$") then read.size = 64 end
  local data
  local augment = true -- the paper's recipe
  if args.data then
    data = sc.data.open(args.data, read)
  else
    read.count = 600
    data = sc.data.phantom(read)
    augment = { hflip = 0.5, scale = { 0.9, 1 }, brightness = 0.2, contrast = 0.2 } -- phantoms all stand upright
  end
  print(data)

  local model = sc.models.vgg { config = { 16, 16, "M", 32, 32, "M", 64, 64, "M" }, hidden = { 64 }, pool = 4,
    batch_norm = true, like = data, seed = args.seed }
  print(model)
  local history = sc.train(model, data, { epochs = args.epochs, augment = augment, seed = args.seed })
  print(sc.evaluate(model, data.test))

  local results = sc.sweep { model = model, data = data, methods = { "lrp", "dlb", "ig" },
    sampling = { "clustering", "confidence", "random" }, rates = { 0, 0.15, 0.3, 0.5, 0.7 }, seed = args.seed }
  print(results)

  local heatmaps = sc.heatmaps(model, data.test, { dir = out .. "/heatmaps" })
  print("Open " .. sc.report(results, out, { title = "Quick start", heatmaps = heatmaps, history = history }))
end)
