"""The U-Net, the file of a model, the library of models, and the devices they run on."""
