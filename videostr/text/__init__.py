"""What all readers of model text share: tags, tolerant JSON, times, boxes. Linear in the text; they never raise."""
