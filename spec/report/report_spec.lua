local csv = require "secateur.util.csv"
local errors = require "support.errors"
local files = require "secateur.util.files"
local training_history = require "secateur.training.history"
local needs = require "support.needs"
local report = require "secateur.report"
local results = require "secateur.results"
local rows = require "support.rows"
local store = require "secateur.results.store"
local temporary = require "support.temporary"

-- A red pixel.
local png = "\137PNG\r\n\26\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\8\2\0\0\0\x90wS\xDE\0\0\0\fIDATx\x9Cc\xF8\xCF\xC0\0\0\3\1\1"
  .. "\0\xC9\xFE\x92\xEF\0\0\0\0IEND\xAEB`\x82"

local function some(context)
  local evil = "it's <script>alert(1)</script> & \"x\", ünï"
  return rows.results({ { { [0] = 0, [0.5] = 0.1 }, { dataset = evil } },
    { { [0] = 0, [0.5] = 0.05 }, { dataset = evil, method = "ig", auroc = false } } },
    context or { experiment = { datasets = { [evil] = { classes = { "a,b", "<c>" }, train = 8, test = 4 } },
      per_class = 10, scope = "global" } })
end

describe("report", function()
  local folder

  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  it("gives one number where models are all as good, and a range where they are not", function()
    needs.gnuplot(pending)
    local function card_of(accuracy)
      report(rows.results { { { [0] = 0, [0.5] = 0.1 }, {} },
        { { [0] = 0, [0.5] = 0.1 }, { model = "other", baseline_accuracy = accuracy } } }, folder)
      local page = files.read_all(files.join(folder, "index.html"))
      return page:match "([%d.][^<>]*%%)</[^/]*test accuracy, unpruned, of 2 models"
    end
    assert.equal("90.0 %", card_of(0.9))
    assert.equal("80.0 – 90.0 %", card_of(0.8))
  end)

  it("writes every file, and nothing else", function()
    needs.gnuplot(pending)
    local target = files.join(folder, "deep/er")
    assert.equal(target .. "/index.html", report(some(), target))
    local names = files.walk(target)
    for i = #names, 1, -1 do
      names[i] = names[i]:gsub("it_s.*n_%-", "X-")
      if names[i]:find "pdf$" then table.remove(names, i) end -- not every gnuplot can
    end
    assert.same({ "figures/accuracy-X-vgg-random.gp", "figures/accuracy-X-vgg-random.png",
      "figures/accuracy-X-vgg-random.svg", "index.html", "intervals.csv", "lossless.html", "lossless.md",
      "lossless.tex", "per_class.csv", "results.csv", "table1.html", "table1.md", "table1.tex" }, names)
  end)

  it("writes rows that read back the same", function()
    needs.gnuplot(pending)
    report(some(), folder)
    local lines = assert(csv.read(files.join(folder, "results.csv")))
    assert.equal(5, #lines)
    assert.equal("it's <script>alert(1)</script> & \"x\", ünï", lines[2][1])
    local record = csv.records(files.join(folder, "results.csv"), { "method", "rate", "accuracy", "drop", "loss" })[2]
    assert.same({ "lrp", 0.5, 0.9 - 0.1, 0.1, 0.3 }, { record.method, tonumber(record.rate),
      tonumber(record.accuracy), tonumber(record.drop), tonumber(record.loss) })
    local classes = csv.records(files.join(folder, "per_class.csv"), { "rate", "class", "sensitivity", "f1" })
    assert.equal(8, #classes)
    assert.same({ "0", "a,b", "0.9", "0.6" }, { classes[1].rate, classes[1].class, classes[1].sensitivity,
      classes[1].f1 })
    assert.same({ "<c>", "0.5", "" }, { classes[2].class, classes[2].sensitivity, classes[2].f1 })
  end)

  it("says how many images were left out", function()
    needs.gnuplot(pending)
    report(rows.results { { { [0] = 0, [0.5] = 0.1 }, { skipped = 2 } } }, folder)
    assert.truthy(files.read_all(files.join(folder, "index.html"))
      :find('<p class="caveat">2 images were left out: they could not be read.</p>', 1, true))
    assert.equal("2", csv.records(files.join(folder, "results.csv"), { "skipped" })[1].skipped)
    report(some(), folder)
    assert.is_nil(files.read_all(files.join(folder, "index.html")):find "left out")
    local epochs = { { epoch = 1, train_loss = 1, train_accuracy = 0.5 },
      { epoch = 2, train_loss = 1, train_accuracy = 1 } }
    report(some(), folder, { history = training_history.new(epochs, 1, nil, 1) })
    assert.truthy(files.read_all(files.join(folder, "index.html"))
      :find('<p class="caveat">1 image was left out: it could not be read.</p>', 1, true))
  end)

  it("makes a page that needs nothing else and runs nothing", function()
    needs.gnuplot(pending)
    local picture = temporary.write(folder, "red.png", png)
    report(some(), folder, { title = "T & <i>", heatmaps = { { title = "<s> 1", images = { { label = "LRP",
      path = picture } } } }, history = { { epoch = 1, train_loss = 1, val_loss = 1.1, train_accuracy = 0.5,
      val_accuracy = 0.4 }, { epoch = 2, train_loss = 0.5, val_loss = 0 / 0 } } })
    local page = files.read_all(files.join(folder, "index.html"))
    assert.falsy(page:find("<script", 1, true))
    assert.falsy(page:find("<i>", 1, true))
    assert.truthy(page:find("<title>T &amp; &lt;i&gt;</title>", 1, true))
    assert.truthy(page:find("it&#39;s &lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;x&quot;, ünï", 1, true))
    assert.truthy(page:find("&lt;s&gt; 1", 1, true))
    assert.truthy(page:find("not for clinical use", 1, true))
    assert.truthy(page:find("data:image/png;base64,iVBORw0KGgo", 1, true))
    for reference in page:gmatch("[%s:](%a+=['\"][^'\"]*)") do
      local attribute, value = reference:match("^(%a+)=['\"](.*)$")
      if attribute == "src" or attribute == "href" then
        assert.truthy(value:find("^data:") or value:find("^#"), reference)
      end
    end
    assert.falsy(page:find("@import", 1, true))
    local ids = {}
    for id in page:gmatch("%sid=['\"]([^'\"]+)") do
      assert.is_nil(ids[id], "twice: " .. id)
      ids[id] = true
    end
    for id in page:gmatch("href=['\"]#([^'\"]+)") do assert.truthy(ids[id], "nowhere: " .. id) end
  end)

  it("shows the best combination's classes and the settings", function()
    needs.gnuplot(pending)
    report(some(), folder)
    local page = files.read_all(files.join(folder, "index.html"))
    assert.truthy(page:find("IG with random sampling, the combination with the smallest mean drop", 1, true))
    assert.truthy(page:find('<th class="class" scope="row">&lt;c&gt;</th><td>0.500</td><td>–</td>', 1, true))
    assert.truthy(page:find("8 training and 4 test images; classes: a,b, &lt;c&gt;", 1, true))
  end)

  it("draws an overview of several models and datasets", function()
    needs.gnuplot(pending)
    local all = {}
    for _, dataset in ipairs { "a", "b" } do
      for _, model in ipairs { "vgg", "vit" } do
        for seed = 0, 1 do
          all[#all + 1] = { { [0.3] = 0.1 * seed, [0.5] = 0.2 }, { dataset = dataset, model = model, seed = seed } }
        end
      end
    end
    report(rows.results(all), folder)
    local names = {}
    for _, name in ipairs(files.list(files.join(folder, "figures"))) do
      if name:find("svg$") then names[#names + 1] = name end
    end
    assert.same({ "accuracy-a-vgg-random.svg", "accuracy-a-vit-random.svg", "accuracy-all-random.svg",
      "accuracy-b-vgg-random.svg", "accuracy-b-vit-random.svg" }, names)
    local script = files.read_all(files.join(folder, "figures/accuracy-a-vgg-random.gp"))
    -- The unpruned accuracy opens the curve although rate 0 was not run; then mean, mean − std, mean + std.
    assert.truthy(script:find("0 0.9 0.9 0.9\n0.3 0.85 0.8 0.9\n0.5 0.7 0.7 0.7\n", 1, true))
  end)

  it("draws the agreement of explanations from the rows, for those that have it", function()
    needs.gnuplot(pending)
    local function measured(cosine, changes)
      local list = rows.curve({ [0.3] = 0.1, [0.5] = 0.2 }, changes)
      for i, row in ipairs(list) do
        row.agreement_cosine, row.agreement_spearman = cosine - 0.2 * i, cosine - 0.3 * i
        if i == 1 then row.agreement_topk = 0.75 end
        row.agreement_seconds = 0.5
      end
      return list
    end
    local all = {}
    for _, list in ipairs { measured(0.9, { method = "lrp", seed = 0 }), measured(0.7, { method = "lrp", seed = 1 }),
      measured(0.4, { method = "ig", seed = 0 }), rows.curve({ [0.3] = 0.1 }, { method = "dlb" }),
      rows.curve({ [0.3] = 0.1 }, { dataset = "mura" }) } do
      table.move(list, 1, #list, #all + 1, all)
    end
    report(results.new(all), folder)
    local figures = files.join(folder, "figures")
    assert.falsy(files.is_file(files.join(figures, "agreement-mura-vgg.svg")))
    for _, kind in ipairs { "svg", "png", "gp" } do
      assert.truthy(files.is_file(files.join(figures, "agreement-cpn-vgg." .. kind)))
    end
    local script = files.read_all(files.join(figures, "agreement-cpn-vgg.gp"))
    -- Cosine of lrp (method 1 of the key): whole at rate 0, then mean and one deviation off over both seeds.
    assert.truthy(script:find("$p1_1 << EOD\n0 1 1 1\n0.3 0.6 0.5 0.7\n0.5 0.4 0.3 0.5\nEOD", 1, true))
    assert.truthy(script:find("$p2_2 << EOD\n0 1 1 1\n0.3 0.1 0.1 0.1\n0.5 -0.2 -0.2 -0.2\nEOD", 1, true))
    assert.truthy(script:find("$p3_1 << EOD\n0 1 1 1\n0.3 0.75 0.75 0.75\nEOD", 1, true))
    assert.falsy(script:find("$p1_3", 1, true))
    assert.truthy(script:find("set yrange [-0.2:1.02]", 1, true))
    assert.truthy(script:find('set ylabel "agreement"', 1, true))
    local page = files.read_all(files.join(folder, "index.html"))
    assert.truthy(page:find('<section id="agreement">', 1, true))
    local records = csv.records(files.join(folder, "results.csv"), { "agreement_cosine", "agreement_topk" })
    assert.same({ "0.7", "0.75", "" }, { records[1].agreement_cosine, records[1].agreement_topk,
      records[2].agreement_topk })
    assert.equal("", records[#records].agreement_cosine)
    assert.matches("cosine  Spearman  top%-k\n", tostring(results.new(all)))
  end)

  it("draws accuracy against what models cost, and agreement of decisions, a panel per repair", function()
    needs.gnuplot(pending)
    local all = {}
    for _, repair in ipairs { "none", "least_squares" } do
      for _, row in ipairs(rows.curve({ [0.3] = 0.1, [0.5] = 0.2 }, { repair = repair, redundancy = true })) do
        row.relative_macs, row.relative_latency_1, row.decision_agreement = 1 - row.rate, 1.1 - row.rate, 0.75
        row.drop_low, row.drop_high, row.macs = row.drop - 0.05, row.drop + 0.25, 1000
        all[#all + 1] = row
      end
    end
    report(results.new(all), folder)
    local drawn = files.join(folder, "figures")
    local names = {}
    for _, name in ipairs(files.list(drawn)) do
      if name:find "svg$" then names[#names + 1] = name end
    end
    assert.same({ "accuracy-cpn-vgg-random-least_squares.svg", "accuracy-cpn-vgg-random-none.svg",
      "accuracy-cpn-vgg.svg", "decisions-cpn-vgg.svg", "latency-1-cpn-vgg.svg", "macs-cpn-vgg.svg" }, names)
    local function script(name) return files.read_all(files.join(drawn, name .. ".gp")) end
    -- A single seed: the bootstrap interval of the drop, off the unpruned accuracy of 0.9.
    assert.truthy(script("accuracy-cpn-vgg"):find("$p2_1 << EOD\n0 0.9 0.9 0.9\n0.3 0.8 0.55 0.85\n0.5 0.7 0.45 0.75\n",
      1, true))
    assert.truthy(script("accuracy-cpn-vgg"):find("random · repair: least squares", 1, true))
    assert.truthy(script("macs-cpn-vgg"):find("$p1_1 << EOD\n1 0.9 0.9 0.9\n0.7 0.8 0.55 0.85\n0.5 0.7 0.45 0.75\n", 1,
      true))
    assert.truthy(script("latency-1-cpn-vgg"):find("yerrorbars", 1, true))
    assert.truthy(script("decisions-cpn-vgg"):find("$p1_1 << EOD\n0 1 1 1\n0.3 0.75 0.75 0.75\n", 1, true))
    local page = files.read_all(files.join(folder, "index.html"))
    for _, part in ipairs { '<section id="costs">', '<section id="decisions">', "LRP with redundancy · random",
      "Accuracy against relative multiply-adds: cpn · vgg", "not repaired" } do
      assert.truthy(page:find(part, 1, true), part)
    end
    local record = csv.records(files.join(folder, "results.csv"), { "repair", "redundancy", "drop_high", "macs" })[3]
    assert.same({ "least_squares", "true", "0.35", "1000" }, { record.repair, record.redundancy, record.drop_high,
      record.macs })
    assert.truthy(files.read_all(files.join(folder, "costs.md")):find("| LRP | yes | least squares | 0.30 |", 1, true))
  end)

  it("leaves the agreement out where no row has it", function()
    needs.gnuplot(pending)
    report(some(), folder)
    assert.falsy(files.read_all(files.join(folder, "index.html")):find('id="agreement"', 1, true))
    assert.falsy(files.read_all(files.join(folder, "results.csv")):find("agreement", 1, true))
    assert.falsy(files.read_all(files.join(folder, "index.html")):find('id="costs"', 1, true))
    assert.falsy(files.is_file(files.join(folder, "costs.md")))
  end)

  it("reads a store, also while a sweep writes it", function()
    needs.gnuplot(pending)
    local path = files.join(folder, "runs.db")
    local writer <close> = assert(store.open(path))
    writer:put("run", "1", { version = "1", date = "2026-11-27T18:00:00Z", processor = "<i>Some</i>", threads = 2,
      ranks = 4, seconds = 1.25, settings = {}, grid = { datasets = { "cpn" }, models = { "vgg" }, methods = { "lrp" },
        samplings = { "random", "mine" }, rates = { 0, 0.5 }, seeds = { 0 }, repair = { "none" },
        redundancy = { false } } })
    rows.put(writer, rows.row { drop = 0.25 })
    writer:put("failure", "1", { dataset = "cpn", model = "vgg", method = "lrp", sampling = "mine", seed = 0,
      rate = 0.5, error = "no <b>image</b>" })
    local out = files.join(folder, "out")
    report(path, out)
    local function read(name) return files.read_all(files.join(out, name)) end
    assert.truthy(read("table1.md"):find("| **0.250** |", 1, true))
    local page = read "index.html"
    for _, part in ipairs { "Incomplete: 1 of 4 rows", "of 2 pruned models measured so far", "1 task failed",
      "cpn · vgg · LRP · mine · seed 0 · rate 0.50: no &lt;b&gt;image&lt;/b&gt;",
      "3 rows are missing of the grid",
      "<td>&lt;i&gt;Some&lt;/i&gt;</td>", "20 training and 10 test images; classes: a, b" } do
      assert.truthy(page:find(part, 1, true), part)
    end
    assert.same({ { "random", "0" }, { "mine", "0" }, { "mine", "0.5" } }, (function()
      local list = {}
      for i, each in ipairs(csv.records(files.join(out, "missing.csv"), { "sampling", "rate" })) do
        list[i] = { each.sampling, each.rate }
      end
      return list
    end)())
    rows.put(writer, rows.row { sampling = "mine", drop = 0.5 })
    report(path, out, { where = { sampling = { "mine", "other" } } })
    assert.truthy(read("table1.md"):find("| LRP | mine | **0.500** |", 1, true))
    assert.falsy(read("table1.md"):find("random", 1, true))
    assert.truthy(read("index.html"):find("sampling = mine, other", 1, true))
    assert.truthy(read("missing.csv"):find("mine", 1, true))
    assert.falsy(read("missing.csv"):find("random", 1, true))
  end)

  it("draws a training's curves, and a grid of pictures", function()
    needs.gnuplot(pending)
    local svg, image = report.training({ { epoch = 1, train_loss = 1, train_accuracy = 0.5 } },
      files.join(folder, "new/curve.png"), { title = "VGG" })
    assert.equal(files.join(folder, "new/curve.svg"), svg)
    assert.truthy(files.is_file(svg) and files.is_file(image))
    local picture = temporary.write(folder, "red.png", png)
    local grid = report.heatmaps({ { title = "one", images = { { label = "LRP", path = picture }, picture } },
      picture }, files.join(folder, "grid"))
    assert.truthy(files.read_all(grid):find("LRP", 1, true))
  end)

  it("draws a training without accuracy, or without anything", function()
    needs.gnuplot(pending)
    local path = files.join(folder, "curve")
    for _, history in ipairs { { { epoch = 1, train_loss = 1 }, { epoch = 2, train_loss = 0.5, val_loss = 0.6 } },
      { { train_loss = 0 / 0, train_accuracy = 0.5 } }, { { epoch = 1 } }, {}, { { val_auroc = 0.7 } } } do
      local svg = report.training(history, path)
      assert.truthy(files.read_all(svg):find("</svg>", 1, true))
    end
    report.training({ { train_loss = 1 } }, path)
    assert.falsy(files.read_all(path .. ".svg"):find("accuracy", 1, true))
  end)

  it("leaves nothing behind where it fails, and what was there as it was", function()
    needs.gnuplot(pending)
    local program = temporary.write(folder, "program", '#!/bin/sh\ncase "$1" in *training*) exit 1;; esac\n'
      .. 'exec gnuplot "$@"\n')
    assert(os.execute(("chmod +x '%s'"):format(program)))
    local function fails(target)
      return errors.text(function()
        report(some(), target, { gnuplot = program, history = { { train_loss = 1 } } })
      end)
    end
    local fresh = files.join(folder, "a/b")
    assert.matches("^report: gnuplot could not draw " .. fresh:gsub("%p", "%%%0") .. "/figures/training%-training: ",
      fails(fresh))
    assert.is_false(files.is_dir(files.join(folder, "a")))
    local kept = files.join(folder, "kept")
    temporary.write(kept, "table1.md", "old")
    assert.matches("could not draw", fails(kept))
    assert.same({ "table1.md" }, files.walk(kept, { hidden = true }))
    assert.equal("old", files.read_all(files.join(kept, "table1.md")))
    report(some(), kept)
    assert.truthy(files.is_file(files.join(kept, "index.html")))
    assert.is_false(files.is_dir(files.join(kept, ".report.1.part")))
    temporary.write(folder, "taken/index.html/x", "")
    assert.matches("^report: .*/taken/index%.html: expected a file to write, got a folder$",
      errors.text(function() report(some(), files.join(folder, "taken")) end))
    assert.same({ "index.html/x" }, files.walk(files.join(folder, "taken"), { hidden = true }))
  end)

  it("shows names as they can be read, and ends soon with those that are no text", function()
    needs.gnuplot(pending)
    local evil = "'\27[31m\u{202E}]]>\xFF"
    local made = rows.results({ { { [0] = 0, [0.5] = 0.1 }, { dataset = evil, model = ("\xFF"):rep(20000) } } },
      { experiment = { datasets = { [evil] = { classes = { evil, "b" } } } } })
    report(made, folder)
    for _, path in ipairs(files.walk(folder)) do
      local content = files.read_all(files.join(folder, path))
      if not path:find "png$" and not path:find "pdf$" then
        assert.truthy(utf8.len(content), path)
        assert.falsy(content:find("[\0-\8\11-\31\127]"), path)
        assert.falsy(content:find("\u{202E}", 1, true), path)
      end
      if path:find "svg$" then assert.falsy(content:find("]]>", 1, true), path) end
    end
  end)

  it("says what is wrong, at the caller's level", function()
    needs.gnuplot(pending)
    local function wrong(expected, ...)
      assert.equal("report: " .. expected, errors.text(function(...) report(...) end, ...))
    end
    wrong("results: expected what sweep gives or the path of its store, got 3", 3, folder)
    wrong("results: expected at least one row", rows.results {}, folder)
    wrong("dir: missing", some())
    wrong("dir: expected a folder's path, got ''", some(), "")
    wrong("dir: expected a folder's path, got 'a\\x00b'", some(), "a\0b")
    wrong("unknown option 'titel', expected one of: band, bold, gnuplot, heatmaps, history, margin, "
      .. "metric, reference, title, where; did you mean 'title'?", some(), folder,
      { titel = "x" })
    wrong(("store '%s/none.db' no such file"):format(folder), folder .. "/none.db", folder)
    wrong("'no-gnuplot' not found: figures are drawn with gnuplot 5; install gnuplot-nox (Debian) or gnuplot", some(),
      folder, { gnuplot = "no-gnuplot" })
    wrong("heatmaps: expected the path of a PNG file, got 7 at 1.1", some(), folder,
      { heatmaps = { { images = { 7 } } } })
    wrong(folder .. "/none.png: No such file or directory", some(), folder, { heatmaps = { folder .. "/none.png" } })
    temporary.write(folder, "file", "")
    wrong(folder .. "/file: File exists", some(), folder .. "/file")
  end)
end)
