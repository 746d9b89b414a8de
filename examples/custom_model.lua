-- A network of one's own, with branches and depthwise convolutions, and an attribution rule of one's own for it.
local argparse = require "argparse"
local sc = require "secateur"

local function whole(text) return math.tointeger(tonumber(text) or 0.5) end

local function share(text)
  local number = tonumber(text)
  if number and number >= 0 and number < 1 then return number end
  return nil, "expected a share in [0, 1), got " .. text
end

local parser = argparse("custom_model.lua", "Build, train, explain and prune a network that is in no zoo.")
parser:option("--data", "a folder of images (class per folder), .npz, .csv or KIND:PATH; phantoms if not given")
parser:option("--epochs", "epochs of training", "6"):convert(whole)
parser:option("--rate", "share of the units to remove", "0.3"):convert(share)
local args = parser:parse()

local function conv(net, name, x, out, opts)
  x = net:conv2d(name .. ".conv", x, { out = out, kernel = opts.kernel, stride = opts.stride, groups = opts.groups,
    padding = opts.kernel // 2, bias = false })
  return net:silu(name .. ".act", net:batch_norm2d(name .. ".bn", x))
end

-- A rule is data: here positive weights count one and a half times, in numerator and denominator, and the bias takes no
-- part. It stands at the first layer with weights; behind it come DL-Backtrace's share, then LRP-epsilon at the output.
local rules = sc.rules
local favour = { kind = "linear", groups = { { terms = {
  { input = rules.plain, weight = { plain = 1, positive = 0.5 }, bias = rules.none } } } } }
local composite = {
  { depth = 1, rule = favour },
  { match = "conv", depth = { 2, -2 }, rule = rules.magnitudes() },
  { match = "activation", rule = rules.pass() },
  { match = "routing", rule = rules.gradient() },
  { match = "any", rule = rules.epsilon() },
}

sc.main(function()
  local data = args.data and sc.data.open(args.data, { size = 48 }) or sc.data.phantom { size = 48, count = 400 }
  local model = sc.model { name = "branches", input = { data.channels, data.size, data.size },
    head = data.multi_label and "sigmoid" or nil, build = function(net, x)
    x = conv(net, "stem", x, 16, { kernel = 3, stride = 2 })
    local wide = conv(net, "wide", x, 16, { kernel = 5, groups = 16 })  -- depthwise
    local near = conv(net, "near", x, 16, { kernel = 1 })
    x = net:concat("join", { wide, near })
    x = conv(net, "mix", x, 32, { kernel = 3, stride = 2 })
    x = net:adaptive_avg_pool2d("pool", x, { output = 1 })
    return net:linear("head", net:flatten("flat", x), { out = #data.classes })
  end }
  print(model:summary())
  sc.train(model, data, { epochs = args.epochs })

  local scores = sc.importance(model, data.train, { method = "lrp", composite = composite, sampling = "random" })
  local pruned = sc.prune(model, scores, { rate = args.rate })
  print(pruned.pruning_plan)
  print(("accuracy %.3f, pruned %.3f"):format(sc.evaluate(model, data.test).accuracy,
    sc.evaluate(pruned, data.test).accuracy))
end)
