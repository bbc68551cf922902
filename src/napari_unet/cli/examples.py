"""What the help of each command tells beside its options."""

ABOUT = """\
Segment microscopy images with U-Nets, train them, and see what a model is.
"""

EXAMPLES = {
    "": """\
examples:
  napari-unet demo
  napari-unet segment cells.tif -m nuclei -o results
  napari-unet train images/ labels/ -o my-nuclei --base nuclei --minutes 20

'napari-unet COMMAND --help' tells the options of a command. The exit status is 0; 1 where some of
the files failed; 2 where nothing could be done. With --json there is a JSON object a line.
The shell completes commands, options and models after: eval "$(register-python-argcomplete
napari-unet)" (bash and zsh).""",
    "segment": """\
Labels of cells.tif go to OUT/cells_labels.tif, with axes and pixel size; the settings, the
model and the versions that made them to OUT/cells_labels.json. Files that were finished before,
with the same model and settings, are left as they are; what was changed since by hand is too.
The command ends with 0; with 1 where some files failed, 2 where all did.

examples:
  napari-unet segment cells.tif -m nuclei -o results
  napari-unet segment 'plates/**/*.tif' -m nuclei -o results --write labels,measurements
  napari-unet segment folder/ -m nuclei -o results --min-size 30 --format ome.tif
  napari-unet segment colour.png -m nuclei -o results --channels 2 --object-diameter 40""",
    "predict": """\
Scores of cells.tif go to OUT/cells_scores.tif, with a channel axis: class probabilities,
object maps or values, as the model gives them.

example:
  napari-unet predict cells.tif -m nuclei -o results""",
    "train": """\
Labels are found by their names: a.tif in two folders; a_masks, a_mask, a_label, a_labels or
a_seg.npy beside a; mask_0 or label_0 beside 0, image_0 or img_0; nnU-Net's case_0000 with case; a
folder per case with image and mask, or with images/ and masks/, of one object a file; the Cell
Tracking Challenge's 01/t000 with 01_GT/SEG/man_seg000. What was recognised is told.

Where not all is labelled, --region says what is: 'planes' for stacks of which some planes are
labelled completely, 'painted' for strokes, of which --background names the label that means
background, --region-masks for a mask per image. The rest does not count.

A part is held out, and at the end the new model's scores there stand beside those of its base.
Ctrl+C stops and keeps the best model so far; a second one discards the training.

examples:
  napari-unet train images/ labels/ -o my-nuclei --base nuclei --minutes 20
  napari-unet train stack.tif strokes.tif -o mine --base nuclei --region painted --background 2
  napari-unet train images/ labels/ -o tissue --task semantic --class 1=vessel --class 2=stroma
  napari-unet train images/ labels/ -o long --minutes 600 --checkpoint long.state""",
    "measure": """\
A row per object, and per time point. Lengths are in micrometres where the pixel size is known.

example:
  napari-unet measure results/cells_labels.tif --image cells.tif -o cells.csv""",
    "models": """\
examples:
  napari-unet models list
  napari-unet models add https://example.org/models.json our-cells""",
    "models list": """\
A line has the name, whose it is, what it does, and its description, with tabs between them.

example:
  napari-unet models list""",
    "models show": """\
The card is all that the model says of itself: task, channels, pixel size, scores, training.

example:
  napari-unet models show nuclei""",
    "models verify": """\
A model that was damaged or changed, or that this machine computes otherwise, fails with 2.

example:
  napari-unet models verify nuclei""",
    "models add": """\
Without NAME the models there are listed, and nothing is fetched; a single model file is kept at
once. The SHA-256 that the list names is compared first.

example:
  napari-unet models add https://example.org/models.json our-cells""",
    "run": """\
Every result has its record beside it, cells_labels.json beside cells_labels.tif. The same input,
model and settings give equal labels; another model of that name, or other pixels, are told.

examples:
  napari-unet run results/cells_labels.json -o again
  napari-unet run results/cells_labels.json --input other.tif -o results""",
    "evaluate": """\
Truth is found by the names: a_labels.tif has a.tif, a_masks.png, a_seg.npy, or a folder a with a
mask per object. Intervals come from drawing images anew. The exit status is 1 where some images
could not be scored, 2 where none could.

examples:
  napari-unet evaluate results/ truth/ -o scores.csv
  napari-unet evaluate results/ truth/ --second other/
  napari-unet evaluate cells_labels.tif cells_truth.tif --errors errors/""",
    "export": """\
The ending of OUT tells the format: .tif (ImageJ, Fiji), .ome.tif, .ome.zarr, .zip (regions of
ImageJ), .geojson (QuPath), .json (COCO), _seg.npy (Cellpose), .png (mask, or with --image a
picture with outlines), .csv or .tsv (table). docs/formats.md tells what each keeps.

examples:
  napari-unet export results/cells_labels.tif -o cells.zip
  napari-unet export results/cells_labels.tif --image cells.tif -o figure.png""",
    "demo": """\
Writes label TIFFs, overlay PNGs and run records, tells how well the labels agree with the
truth, and opens napari where there is a display.

example:
  napari-unet demo -o demo --no-window""",
}
