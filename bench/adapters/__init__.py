"""The core model as other evaluation libraries take models, one file for each library."""
